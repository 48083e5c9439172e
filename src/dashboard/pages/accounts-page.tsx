import { useInfiniteQuery } from '@tanstack/react-query';
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import type { Account } from '../../contracts/account.ts';
import { pagesOf } from '../acting.ts';
import { Badge } from '../components/badges.tsx';
import { Button } from '../components/button.tsx';
import { InputField } from '../components/field.tsx';
import { PageHeader } from '../components/page-header.tsx';
import { Problem } from '../components/problem-notice.tsx';
import { ScopeNote } from '../components/scope.tsx';
import { EmptyState } from '../components/section.tsx';
import { Table, type Column } from '../components/table.tsx';
import { Day } from '../components/time.tsx';
import { formatCount } from '../format.ts';
import { accountsQuery } from '../queries.ts';
import { CreateAccount } from './accounts/account-form.tsx';

const route = getRouteApi('/signed-in/accounts');

/** For operators, who sign in with a service key. */
export function AccountsPage() {
  const { q = '' } = route.useSearch();
  const list = useInfiniteQuery(accountsQuery(q));
  const accounts = list.data?.pages.flatMap(({ data }) => data);
  return (
    <>
      <PageHeader
        title="Accounts"
        subtitle="Each account has its own webhooks, events and keys. Open an account to act for it."
        actions={<CreateAccount />}
      />
      <ScopeNote scope="accounts:read" action="list accounts" />
      <ScopeNote scope="accounts:write" action="create or change an account" />
      <Problem error={list.error} />
      {(accounts?.length !== 0 || q !== '') && <Search key={q} q={q} />}
      {accounts?.length === 0 ? (
        q === '' ? (
          <EmptyState title="No accounts yet">
            <p>Create an account for each of your customers, or have your application do it with the API.</p>
          </EmptyState>
        ) : (
          <p className="muted">
            No account has an id or a name that begins with “{q}”. <Link to="/accounts">Show all</Link>
          </p>
        )
      ) : (
        (accounts !== undefined || !list.error) && (
          <>
            <Table
              caption={q === '' ? 'Accounts, newest first' : 'Accounts found'}
              className="account-table"
              columns={columns}
              rows={accounts}
              keyOf={({ id }) => id}
              skeletonRows={5}
            />
            {list.hasNextPage && (
              <p className="list-end">
                <Button
                  aria-disabled={list.isFetchingNextPage}
                  onClick={() => {
                    if (!list.isFetchingNextPage) void list.fetchNextPage();
                  }}
                >
                  {list.isFetchingNextPage ? 'Loading …' : 'Load more'}
                </Button>
              </p>
            )}
          </>
        )
      )}
    </>
  );
}

/** The search is in the URL. It runs with Enter, or when the field is left. */
function Search({ q }: { q: string }) {
  const [text, setText] = useState(q);
  const navigate = useNavigate();
  const search = () => {
    const next = text.trim();
    if (next !== q) void navigate({ to: '/accounts', search: next === '' ? {} : { q: next } });
  };
  return (
    <search className="filter-text">
      <InputField
        label="Find by id or name"
        type="search"
        maxLength={100}
        value={text}
        onChange={setText}
        onBlur={search}
        onKeyDown={({ key }) => {
          if (key === 'Enter') search();
        }}
      />
    </search>
  );
}

const columns: Column<Account>[] = [
  {
    name: 'Account',
    isRowHeader: true,
    cell: ({ id, name, deletion }) => (
      <>
        <Link to="/accounts/$id" params={{ id }}>
          {name}
        </Link>{' '}
        {deletion && <Badge tone="warn">being deleted</Badge>}
        <div className="muted small break">
          <code>{id}</code>
        </div>
      </>
    ),
  },
  {
    name: 'Webhooks',
    className: 'numeric',
    cell: ({ usage: { webhooks }, limits: { max_webhooks: most } }) =>
      most === null ? formatCount(webhooks) : `${formatCount(webhooks)} of ${formatCount(most)}`,
  },
  { name: 'Delivered, 24 h', className: 'numeric', cell: ({ usage }) => formatCount(usage.delivered) },
  { name: 'Failed, 24 h', className: 'numeric', cell: ({ usage }) => formatCount(usage.failed) },
  {
    name: 'Created',
    className: 'nowrap',
    isWideOnly: true,
    cell: ({ created_at: at }) => <Day at={at} />,
  },
  {
    name: 'Actions',
    isNameHidden: true,
    cell: ({ id, name, deletion }) =>
      deletion === null && (
        <a href={pagesOf(id)} className="button button-small" aria-label={`Open ${name}`}>
          Open
        </a>
      ),
  },
];
