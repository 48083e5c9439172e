import { useQuery } from '@tanstack/react-query';
import { PageHeader } from '../components/page-header.tsx';
import { Problem } from '../components/problem-notice.tsx';
import { ScopeNote } from '../components/scope.tsx';
import { keysQuery } from '../queries.ts';
import { CreateKey } from './keys/create-key.tsx';
import { KeyTable } from './keys/key-table.tsx';

export function KeysPage() {
  const { data: keys, error } = useQuery(keysQuery);
  return (
    <>
      <PageHeader
        title="API keys"
        subtitle="Keys your code and this dashboard use to call the API. A key is shown once, when it is created."
        actions={<CreateKey />}
      />
      <div className="stack">
        <Problem error={error} />
        <ScopeNote scope="webhooks:write" action="create or revoke keys" />
        <KeyTable keys={keys} />
      </div>
    </>
  );
}
