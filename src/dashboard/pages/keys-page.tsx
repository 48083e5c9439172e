import { useQuery } from '@tanstack/react-query';
import type { Key } from '../../contracts/key.ts';
import { Badge } from '../components/badges.tsx';
import { ConfirmButton } from '../components/dialog.tsx';
import { Page } from '../components/page-header.tsx';
import { Problem } from '../components/problem-notice.tsx';
import { ScopeNote } from '../components/scope.tsx';
import { Table, type Column } from '../components/table.tsx';
import { Ago } from '../components/time.tsx';
import { keysQuery } from '../queries.ts';
import { api } from '../session-api.ts';
import { CreateKey } from './keys/create-key.tsx';

export function KeysPage() {
  const { data: keys, error } = useQuery(keysQuery);
  return (
    <Page
      title="API keys"
      subtitle="Keys your code and this dashboard use to call the API. A key is shown once, when it is created."
      actions={<CreateKey />}
    >
      <Problem error={error} />
      <ScopeNote scope="webhooks:write" action="create or revoke keys" />
      <Table
        caption="API keys, newest first"
        columns={columns}
        rows={keys}
        keyOf={({ id }) => id}
        skeletonRows={4}
      />
    </Page>
  );
}

const columns: Column<Key>[] = [
  { name: 'Name', isRowHeader: true, className: 'key-name', cell: ({ name }) => name },
  { name: 'Key', cell: ({ hint }) => <code className="nowrap">{hint}</code> },
  {
    name: 'Scopes',
    cell: ({ scopes }) =>
      scopes.map((scope) => (
        <code key={scope} className="block nowrap">
          {scope}
        </code>
      )),
  },
  { name: 'Created', className: 'numeric nowrap', cell: ({ created_at: at }) => <Ago at={at} /> },
  {
    name: 'Last used',
    className: 'numeric nowrap',
    cell: ({ last_used_at: at }) => (at === null ? <span className="muted">never</span> : <Ago at={at} />),
  },
  { name: 'State', cell: (key) => <KeyState apiKey={key} /> },
  {
    name: 'Actions',
    isNameHidden: true,
    cell: (key) => key.revoked_at === null && <Revoke apiKey={key} />,
  },
];

function KeyState({ apiKey: { revoked_at: revokedAt, is_current: isCurrent } }: { apiKey: Key }) {
  if (revokedAt === null) return <Badge tone="good">{isCurrent ? 'active (this session)' : 'active'}</Badge>;
  return (
    <span className="nowrap">
      <Badge tone="idle">revoked</Badge> <Ago at={revokedAt} />
    </span>
  );
}

function Revoke({ apiKey: { id, name, is_current: isCurrent } }: { apiKey: Key }) {
  return (
    <ConfirmButton
      label="Revoke"
      title={`Revoke the key “${name}”?`}
      action="Revoke the key"
      isDanger
      run={() => api.revokeKey(id)}
      done={`The key “${name}” was revoked`}
      changes={[isCurrent ? 'session' : 'keys']}
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
