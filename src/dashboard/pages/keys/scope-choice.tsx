import { useQuery } from '@tanstack/react-query';
import { scopes, type Scope } from '../../../contracts/key.ts';
import { sessionQuery } from '../../queries.ts';

const meanings: Record<Scope, string> = {
  'webhooks:read':
    'Read webhooks, deliveries, events, keys and settings, but no secrets. Required for this dashboard.',
  'webhooks:write':
    'Create, change and delete webhooks, read their secrets, retry deliveries, create and revoke keys.',
  'events:write': 'Publish events. Sufficient for a producer.',
};

type Props = { chosen: readonly Scope[]; onChange: (chosen: Scope[]) => void };

/** A key can only be given scopes that the session's key has. */
export function ScopeChoice({ chosen, onChange }: Props) {
  const { data: session } = useQuery(sessionQuery);
  return (
    <fieldset>
      <legend>Scopes</legend>
      {scopes.map((scope) => {
        const isOwn = session?.scopes.includes(scope) ?? false;
        return (
          <div key={scope} className="choice">
            <input
              id={`scope-${scope}`}
              type="checkbox"
              aria-describedby={`meaning-${scope}`}
              checked={chosen.includes(scope)}
              disabled={!isOwn}
              onChange={({ target }) =>
                onChange(target.checked ? [...chosen, scope] : chosen.filter((each) => each !== scope))
              }
            />
            <div className="choice-text">
              <label htmlFor={`scope-${scope}`}>
                <code>{scope}</code>
              </label>
              <span className="hint" id={`meaning-${scope}`}>
                {meanings[scope]}
                {!isOwn && ' Your key does not have this scope, so it cannot grant it.'}
              </span>
            </div>
          </div>
        );
      })}
    </fieldset>
  );
}
