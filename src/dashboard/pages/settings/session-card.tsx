import { useQuery } from '@tanstack/react-query';
import { CopyButton } from '../../components/copy-button.tsx';
import { Ago, At } from '../../components/time.tsx';
import { sessionQuery } from '../../queries.ts';
import { SettingsGroup } from './settings-group.tsx';

export function SessionCard() {
  const { data: session } = useQuery(sessionQuery);
  if (!session) return null;
  return (
    <SettingsGroup
      title="Account and session"
      facts={[
        ['Account', session.account_name],
        [
          'Account id',
          <span key="id" className="row">
            <code>{session.account_id}</code> <CopyButton text={session.account_id} />
          </span>,
        ],
        ['Signed in with', `key “${session.key_name}”`],
        [
          'Scopes',
          session.scopes.map((scope) => (
            <code key={scope} className="block">
              {scope}
            </code>
          )),
        ],
        [
          'Session ends',
          <span key="end">
            <Ago at={session.expires_at} /> (<At at={session.expires_at} />)
          </span>,
        ],
      ]}
    />
  );
}
