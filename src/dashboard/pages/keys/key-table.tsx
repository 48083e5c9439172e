import { Toast } from '@base-ui/react/toast';
import { useQueryClient } from '@tanstack/react-query';
import type { Key } from '../../../contracts/key.ts';
import { api } from '../../session-api.ts';
import { Confirm } from '../../components/confirm-button.tsx';
import { useScopeReason } from '../../components/scope.tsx';
import { SkeletonRows } from '../../components/skeleton-rows.tsx';
import { Badge } from '../../components/badges.tsx';
import { Ago } from '../../components/time.tsx';
import { keysQuery, sessionQuery } from '../../queries.ts';

const columns = ['Name', 'Key', 'Scopes', 'Made', 'State', ''];

/** Undefined: not there yet. */
export function KeyTable({ keys }: { keys: readonly Key[] | undefined }) {
  return (
    <div className="table-wrap">
      <table aria-busy={keys === undefined}>
        <caption className="visually-hidden">API keys, newest first</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column} scope="col">
                {column || <span className="visually-hidden">What can be done</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {keys ? (
            keys.map((key) => <KeyRow key={key.id} apiKey={key} />)
          ) : (
            <SkeletonRows rows={4} columns={columns.length} />
          )}
        </tbody>
      </table>
    </div>
  );
}

function KeyRow({ apiKey }: { apiKey: Key }) {
  const { name, hint, scopes, created_at: createdAt, revoked_at: revokedAt } = apiKey;
  return (
    <tr>
      <th scope="row" className="key-name">
        {name}
      </th>
      <td>
        <code className="nowrap">{hint}</code>
      </td>
      <td>
        {scopes.map((scope) => (
          <code key={scope} className="block nowrap">
            {scope}
          </code>
        ))}
      </td>
      <td className="numeric nowrap">
        <Ago at={createdAt} />
      </td>
      <td>
        {revokedAt !== null ? (
          <span className="nowrap">
            <Badge tone="idle">revoked</Badge> <Ago at={revokedAt} />
          </span>
        ) : (
          <Badge tone="good">{apiKey.is_current ? 'valid, yours now' : 'valid'}</Badge>
        )}
      </td>
      <td>{revokedAt === null && <Revoke apiKey={apiKey} />}</td>
    </tr>
  );
}

function Revoke({ apiKey: { id, name, is_current: isCurrent } }: { apiKey: Key }) {
  const reason = useScopeReason('webhooks:write');
  const toasts = Toast.useToastManager();
  const client = useQueryClient();
  return (
    <Confirm
      label="Revoke"
      title={`Revoke the key “${name}”?`}
      action="Revoke the key"
      isDanger
      disabledReason={reason}
      run={async () => {
        await api.revokeKey(id);
        toasts.add({ title: `The key “${name}” is revoked` });
        await client.invalidateQueries({ queryKey: isCurrent ? sessionQuery.queryKey : keysQuery.queryKey });
      }}
    >
      {isCurrent && (
        <p className="notice notice-warn">
          You are signed in with this key: revoking it signs you out, here and wherever else it is used.
        </p>
      )}
      <p>Whatever calls the API with it is refused from now on. This cannot be undone.</p>
    </Confirm>
  );
}
