import { Toast } from '@base-ui/react/toast';
import { useState } from 'react';
import type { DeliverySummary } from '../../../contracts/delivery.ts';
import { Button } from '../../components/button.tsx';
import { ConfirmButton, Modal, useDialog } from '../../components/dialog.tsx';
import { Form } from '../../components/field.tsx';
import { NextAttemptField } from '../../components/next-attempt-field.tsx';
import { describeError, fieldError, Problem } from '../../components/problem-notice.tsx';
import { useScopeReason } from '../../components/scope.tsx';
import { waitsInOrder } from '../../log/retry-reason.ts';
import { deliveryKeys } from '../../queries.ts';
import { api } from '../../session-api.ts';
import { useSubmission } from '../../submission.ts';
import { minutesFromNow } from '../../times.ts';

type Props = {
  delivery: Pick<DeliverySummary, 'id' | 'status' | 'waits_for' | 'blocks_line'>;
  /** Why nothing can be sent to the webhook; undefined if it can. */
  obstacle: string | undefined;
};

/** The manual actions that the delivery's status allows. */
export function DeliveryActions({ delivery, obstacle }: Props) {
  const { id, status, waits_for: waitsFor, blocks_line: blocksLine } = delivery;
  const toasts = Toast.useToastManager();
  const inOrder = waitsFor?.reason === 'order' ? waitsInOrder : undefined;
  const reason = useScopeReason('webhooks:write') ?? obstacle ?? inOrder;
  const retry = useSubmission({
    mutationFn: () => api.retryDelivery(id),
    done: 'The delivery is being retried',
    changes: deliveryKeys,
    onError: (error) =>
      toasts.add({
        title: 'The delivery was not retried',
        description: describeError(error).message,
        timeout: 0,
      }),
  });
  const isWaiting = status === 'pending' || status === 'retrying';
  return (
    <>
      {(isWaiting || status === 'failed') && (
        <Button
          look="primary"
          disabledReason={reason}
          disabled={retry.isPending}
          onClick={() => retry.mutate()}
        >
          Retry now
        </Button>
      )}
      {status === 'delivered' && (
        <ConfirmButton
          label="Resend"
          title="Resend this delivery?"
          action="Resend the delivery"
          disabledReason={obstacle}
          run={() => api.retryDelivery(id, { force: true })}
          done="The delivery is being resent"
          changes={deliveryKeys}
        >
          <p>
            It was already delivered. A receiver that deduplicates on the event id will ignore the request.
          </p>
        </ConfirmButton>
      )}
      {isWaiting && <RescheduleDialog id={id} disabledReason={inOrder} />}
      {(isWaiting || status === 'held' || blocksLine) && (
        <ConfirmButton
          label="Cancel"
          title="Cancel this delivery?"
          action="Cancel the delivery"
          isDanger
          run={() => api.cancelDelivery(id)}
          done="The delivery was canceled"
          changes={deliveryKeys}
        >
          {blocksLine && <p>Those behind it in its order begin then.</p>}
          <p>A canceled delivery cannot be retried. To send the same data later, publish a new event.</p>
        </ConfirmButton>
      )}
    </>
  );
}

function RescheduleDialog({ id, disabledReason }: { id: string; disabledReason: string | undefined }) {
  const [at, setAt] = useState<string>();
  const dialog = useDialog({
    mutationFn: (next: string) => api.rescheduleDelivery(id, { next_attempt_at: next }),
    done: 'The next attempt was rescheduled',
    changes: deliveryKeys,
    onToggle: () => setAt(minutesFromNow(60)),
  });
  const problem = fieldError(dialog.error, '/next_attempt_at');
  return (
    <Modal
      dialog={dialog}
      label="Reschedule"
      title="Reschedule the next attempt"
      disabledReason={disabledReason}
    >
      <Form onSubmit={() => at !== undefined && dialog.mutate(at)}>
        <NextAttemptField value={at} error={problem} onChange={setAt} />
        <p className="hint">The limits of the webhook still apply.</p>
        {problem === undefined && <Problem error={dialog.error} />}
        <div className="dialog-actions">
          <Button onClick={() => dialog.toggle(false)}>Back</Button>
          <Button look="primary" type="submit" disabled={dialog.isPending}>
            Reschedule
          </Button>
        </div>
      </Form>
    </Modal>
  );
}
