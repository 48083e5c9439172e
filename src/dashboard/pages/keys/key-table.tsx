import { Toast } from '@base-ui/react/toast';
import { useQueryClient } from '@tanstack/react-query';
import type { Key } from '../../../contracts/key.ts';
import { api } from '../../session-api.ts';
import { ConfirmButton } from '../../components/confirm-button.tsx';
import { useScopeReason } from '../../components/scope.tsx';
import { SkeletonRows } from '../../components/skeleton-rows.tsx';
import { Badge } from '../../components/badges.tsx';
import { Ago } from '../../components/time.tsx';
import { keysQuery, sessionQuery } from '../../queries.ts';

const columns = ['Name', 'Key', 'Scopes', 'Created', 'State', ''];

/** `keys`: undefined while loading. */
export function KeyTable({ keys }: { keys: readonly Key[] | undefined }) {
  return (
    <div className="table-wrap">
      <table aria-busy={keys === undefined}>
        <caption className="visually-hidden">API keys, newest first</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column} scope="col">
                {column || <span className="visually-hidden">Actions</span>}
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
          <Badge tone="good">{apiKey.is_current ? 'active (this session)' : 'active'}</Badge>
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
    <ConfirmButton
      label="Revoke"
      title={`Revoke the key “${name}”?`}
      action="Revoke the key"
      isDanger
      disabledReason={reason}
      run={async () => {
        await api.revokeKey(id);
        toasts.add({ title: `The key “${name}” was revoked` });
        await client.invalidateQueries({ queryKey: isCurrent ? sessionQuery.queryKey : keysQuery.queryKey });
      }}
    >
      {isCurrent && (
        <p className="notice notice-warn">
          You are signed in with this key. Revoking it ends this session and all others that use it.
        </p>
      )}
      <p>API requests with this key will be rejected immediately. This cannot be undone.</p>
    </ConfirmButton>
  );
}
