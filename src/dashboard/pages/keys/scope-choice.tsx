import { useQuery } from '@tanstack/react-query';
import { scopes, type Scope } from '../../../contracts/key.ts';
import { sessionQuery } from '../../queries.ts';

const meanings: Record<Scope, string> = {
  'webhooks:read': 'See webhooks, deliveries, events, keys and settings; no secrets. This page needs it.',
  'webhooks:write':
    'Create, change and delete webhooks, see their secrets, retry deliveries, make and revoke keys.',
  'events:write': 'Publish events. All that a producer needs.',
};

type Props = { chosen: readonly Scope[]; onChange: (chosen: Scope[]) => void };

/** What a new key may do: nothing that the key that makes it may not. */
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
                {!isOwn && ' Your key lacks it, so it cannot give it.'}
              </span>
            </div>
          </div>
        );
      })}
    </fieldset>
  );
}
