import { useQuery } from '@tanstack/react-query';
import { PageHeader } from '../components/page-header.tsx';
import { Problem } from '../components/problem-notice.tsx';
import { ScopeNote } from '../components/scope.tsx';
import { keysQuery } from '../queries.ts';
import { CreateKey } from './keys/create-key.tsx';
import { KeyTable } from './keys/key-table.tsx';

/** The account's API keys. */
export function KeysPage() {
  const { data: keys, error } = useQuery(keysQuery);
  return (
    <>
      <PageHeader
        title="API keys"
        subtitle="What your programs, and this page, call the API with. A key is shown once, when it is made."
        actions={<CreateKey />}
      />
      <div className="stack">
        <Problem error={error} />
        <ScopeNote scope="webhooks:write" deed="create or revoke keys" />
        <KeyTable keys={keys} />
      </div>
    </>
  );
}
