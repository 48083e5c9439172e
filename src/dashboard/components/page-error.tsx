import { Link, useRouter } from '@tanstack/react-router';
import { FltrWebhooksError } from '../../client/request.ts';
import { EmptyState } from './empty-state.tsx';
import { PageHeader } from './page-header.tsx';
import { describeError, Problem } from './problem.tsx';

export function PageError({ error }: { error: unknown }) {
  const router = useRouter();
  if (error instanceof FltrWebhooksError && error.status === 404) return <NotFound />;
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

export function NotFound() {
  return (
    <EmptyState title="There is nothing here">
      <p>The address may be wrong, what it named may be gone, or it may belong to another account.</p>
      <Link to="/webhooks" className="button">
        All webhooks
      </Link>
    </EmptyState>
  );
}
