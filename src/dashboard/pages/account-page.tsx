import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import type { Account } from '../../contracts/account.ts';
import { pagesOf } from '../acting.ts';
import { CopyButton } from '../components/button.tsx';
import { isMissing, NotFound } from '../components/page-error.tsx';
import { Page, Placeholder } from '../components/page-header.tsx';
import { Problem } from '../components/problem-notice.tsx';
import { ScopeNote } from '../components/scope.tsx';
import { Facts, Section } from '../components/section.tsx';
import { At } from '../components/time.tsx';
import { formatCount } from '../format.ts';
import { accountQuery } from '../queries.ts';
import { DeleteAccount, PortalLinkDialog } from './accounts/account-actions.tsx';
import { EditAccount } from './accounts/account-form.tsx';

/** One account, for operators. */
export function AccountPage() {
  const { id } = useParams({ from: '/signed-in/accounts/$id' });
  const { data: account, error } = useQuery(accountQuery(id));
  const isGone = isMissing(error);
  return (
    <Page
      eyebrow={<Link to="/accounts">Accounts</Link>}
      title={isGone ? 'Account' : (account?.name ?? id)}
      subtitle={
        <span className="row">
          <code className="break">{id}</code> <CopyButton text={id} />
        </span>
      }
      actions={!isGone && account && <Actions account={account} />}
    >
      {isGone ? (
        <NotFound what="Account" to="/accounts" label="All accounts" />
      ) : (
        <>
          <ScopeNote scope="accounts:write" action="change or delete this account" />
          <Problem error={error} />
          {account ? <AccountDetails account={account} /> : error === null && <Placeholder />}
        </>
      )}
    </Page>
  );
}

function Actions({ account }: { account: Account }) {
  if (account.deletion !== null) return null;
  return (
    <>
      <PortalLinkDialog account={account} />
      <EditAccount account={account} />
      <DeleteAccount account={account} />
      <a href={pagesOf(account.id)} className="button button-primary">
        Open
      </a>
    </>
  );
}

function AccountDetails({ account }: { account: Account }) {
  const { limits, usage, metadata, deletion } = account;
  const limitText = (limit: number | null) => (limit === null ? 'the default' : formatCount(limit));
  return (
    <>
      {deletion && <DeletionProgress deletion={deletion} />}
      <div className="columns">
        <Section title="Usage">
          <Facts
            className="facts numeric"
            facts={{
              Webhooks: formatCount(usage.webhooks),
              'Delivered, 24 h': formatCount(usage.delivered),
              'Failed, 24 h': formatCount(usage.failed),
            }}
          />
        </Section>
        <Section title="Limits">
          <Facts
            className="facts numeric"
            facts={{
              'Most webhooks': limitText(limits.max_webhooks),
              'Attempts an hour, of each webhook':
                limits.deliveries_per_hour === 0 ? 'no cap' : limitText(limits.deliveries_per_hour),
            }}
          />
        </Section>
      </div>
      <Section title="Metadata">
        {Object.keys(metadata).length === 0 ? (
          <p className="muted">None. Metadata is for your own use, and is never sent to a receiver.</p>
        ) : (
          <Facts facts={metadata} />
        )}
      </Section>
      <Section title="Details">
        <Facts
          facts={{
            Created: <At at={account.created_at} />,
            Changed: <At at={account.updated_at} />,
          }}
        />
      </Section>
    </>
  );
}

/** The page is refreshed until the account no longer exists. */
function DeletionProgress({ deletion }: { deletion: NonNullable<Account['deletion']> }) {
  return (
    <section className="notice notice-warn" aria-label="Deletion">
      <p>
        <strong>This account is being deleted</strong> since <At at={deletion.started_at} />. It takes at
        least 70 seconds.
      </p>
      <output className="numeric">
        Erased so far: {formatCount(deletion.webhooks)} webhooks, {formatCount(deletion.deliveries)}{' '}
        deliveries, {formatCount(deletion.events)} events.
      </output>
    </section>
  );
}
