import { Link } from '@tanstack/react-router';
import type { DeliverySummary } from '../../../../contracts/delivery.ts';
import { DeliveryBadge } from '../../../components/badges.tsx';
import { Button } from '../../../components/button.tsx';
import { Problem } from '../../../components/problem-notice.tsx';
import { useScopeReason } from '../../../components/scope.tsx';
import { Snippets } from '../../../components/snippets.tsx';
import { api } from '../../../session-api.ts';
import { useSubmission } from '../../../submission.ts';
import { keyPlaceholder, publishSnippets } from './snippets.ts';

type Props = { event: string; data: unknown; delivery: DeliverySummary | undefined };

/** Programs that publish an event, and its delivery once there is one. */
export function PublishStep({ event, data, delivery }: Props) {
  const reason = useScopeReason('events:write');
  const creation = useSubmission({
    mutationFn: () => api.createKey({ name: 'First steps', scopes: ['events:write'] }),
    changes: ['keys'],
    gcTime: 0,
  });
  const apiKey = creation.data?.key ?? keyPlaceholder;
  return (
    <>
      <p className="muted">
        Publish an event with an API key that has the scope <code>events:write</code>.
      </p>
      <Snippets
        label="Publish an event"
        snippets={publishSnippets({ origin: location.origin, apiKey, event, data })}
      />
      {creation.data ? (
        <p className="hint">
          Copy the key now: it is not shown again. <Link to="/keys">View API keys</Link>
        </p>
      ) : (
        <div className="row">
          <Button disabledReason={reason} disabled={creation.isPending} onClick={() => creation.mutate()}>
            Create an API key
          </Button>
          <span className="hint">Its scope is events:write.</span>
        </div>
      )}
      <Problem error={creation.error} />
      <p aria-live="polite" className="row">
        {delivery ? (
          <>
            <DeliveryBadge status={delivery.status} />
            <Link to="/log/$id" params={{ id: delivery.id }}>
              View delivery
            </Link>
          </>
        ) : (
          <span className="muted">Waiting for your first event …</span>
        )}
      </p>
    </>
  );
}
