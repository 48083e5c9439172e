import type { Webhook } from '../../../contracts/webhook.ts';
import { Button } from '../../components/button.tsx';
import { Problem } from '../../components/problem-notice.tsx';
import { useScopeReason } from '../../components/scope.tsx';
import { At, Countdown } from '../../components/time.tsx';
import { webhookKeys } from '../../queries.ts';
import { api } from '../../session-api.ts';
import { useSubmission } from '../../submission.ts';

/** Since when the receiver is down, and whether it is probed. */
export function DownNotice({ webhook }: { webhook: Webhook }) {
  const { webhook_id: id, health, probe_when_down: probes } = webhook;
  return (
    <div className="notice notice-danger stack-small">
      <p>
        <strong>
          The receiver is down
          {health.since && (
            <>
              {' '}
              since <At at={health.since} />
            </>
          )}
          .
        </strong>{' '}
        None of its last 20 attempts succeeded.{' '}
        {probes ? (
          <>
            One attempt at a time tests it
            {health.next_probe_at && (
              <>
                , the next one <Countdown to={health.next_probe_at} />
              </>
            )}
            . The other deliveries wait and use up no retries; they follow as soon as it is back.
          </>
        ) : (
          'Each delivery is retried by its schedule, and fails when that ends.'
        )}
      </p>
      {!probes && <OfferProbe id={id} />}
    </div>
  );
}

function OfferProbe({ id }: { id: string }) {
  const reason = useScopeReason('webhooks:write');
  const submission = useSubmission({
    mutationFn: () => api.updateWebhook(id, { probe_when_down: true }),
    done: 'The receiver is probed while it is down',
    changes: webhookKeys,
  });
  return (
    <>
      <p>With probes, one attempt at a time tests it, and waiting deliveries use up no retries.</p>
      <div>
        <Button disabledReason={reason} disabled={submission.isPending} onClick={() => submission.mutate()}>
          Probe while down
        </Button>
      </div>
      <Problem error={submission.error} />
    </>
  );
}
