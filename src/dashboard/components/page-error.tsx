import { Link, useRouter } from '@tanstack/react-router';
import { actingFor } from '../acting.ts';
import { FltrWebhooksError } from '../../client/request.ts';
import { Button } from './button.tsx';
import { PageHeader } from './page-header.tsx';
import { describeError, Problem } from './problem-notice.tsx';
import { EmptyState } from './section.tsx';

/** It does not exist, or belongs to another account. */
export const isMissing = (error: unknown): boolean =>
  error instanceof FltrWebhooksError && error.status === 404;

export function PageError({ error }: { error: unknown }) {
  const router = useRouter();
  return (
    <main className="standalone">
      <PageHeader title="This page could not be shown" />
      <Problem error={error} />
      <div className="row">
        <Button onClick={() => void router.invalidate()}>Try again</Button>
        {actingFor !== null && (
          <a href="/" className="button">
            Leave “{actingFor}”
          </a>
        )}
      </div>
      <p className="muted">{describeError(error).hint}</p>
    </main>
  );
}

const notFoundText =
  'The address may be wrong, the item may have been deleted, or it may belong to another account.';

type NotFoundProps = {
  what: string;
  to: '/webhooks' | '/log' | '/events' | '/operations' | '/event-types' | '/accounts';
  label: string;
};

/** Shown in place of an item that does not exist, with a link to the list. */
export function NotFound({ what, to, label }: NotFoundProps) {
  return (
    <EmptyState title={`${what} not found`}>
      <p>{notFoundText}</p>
      <Link to={to} className="button">
        {label}
      </Link>
    </EmptyState>
  );
}

export function NotFoundPage() {
  return (
    <>
      <PageHeader title="Page not found" subtitle={notFoundText} />
      <p>
        <Link to="/webhooks" className="button">
          All webhooks
        </Link>
      </p>
    </>
  );
}
