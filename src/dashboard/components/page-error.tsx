import { Link, useRouter } from '@tanstack/react-router';
import { FltrWebhooksError } from '../../client/request.ts';
import { EmptyState } from './empty-state.tsx';
import { PageHeader } from './page-header.tsx';
import { describeError, Problem } from './problem-notice.tsx';

/** Not there, or another account's: the API does not tell which. */
export const isMissing = (error: unknown): boolean =>
  error instanceof FltrWebhooksError && error.status === 404;

export function PageError({ error }: { error: unknown }) {
  const router = useRouter();
  return (
    <main className="lone">
      <PageHeader title="This page could not be shown" />
      <Problem error={error} />
      <p>
        <button type="button" className="button" onClick={() => void router.invalidate()}>
          Try again
        </button>
      </p>
      <p className="muted">{describeError(error).hint}</p>
    </main>
  );
}

const whyNothing =
  'The address may be wrong, what it named may be gone, or it may belong to another account.';

type NotFoundProps = { to: '/webhooks' | '/log' | '/events'; label: string };

/** In a page whose subject is not there: with a way to the list of its kind. */
export function NotFound({ to, label }: NotFoundProps) {
  return (
    <EmptyState title="There is nothing here">
      <p>{whyNothing}</p>
      <Link to={to} className="button">
        {label}
      </Link>
    </EmptyState>
  );
}

/** In place of a page: the address is none of the dashboard's. */
export function NoSuchPage() {
  return (
    <>
      <PageHeader title="There is nothing here" subtitle={whyNothing} />
      <p>
        <Link to="/webhooks" className="button">
          All webhooks
        </Link>
      </p>
    </>
  );
}
