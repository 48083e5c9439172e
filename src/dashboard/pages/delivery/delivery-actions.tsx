import { Toast } from '@base-ui/react/toast';
import { useQueryClient } from '@tanstack/react-query';
import type { Delivery } from '../../../contracts/delivery.ts';
import { api } from '../../session-api.ts';
import { ConfirmButton } from '../../components/confirm-button.tsx';
import { describeError } from '../../components/problem-notice.tsx';
import { useScopeReason } from '../../components/scope.tsx';
import { RescheduleDialog } from './reschedule-dialog.tsx';
import { useSubmission } from '../../submission.ts';

type Props = {
  delivery: Delivery;
  /** Why nothing can be sent to the webhook; undefined if it can. */
  blockedReason: string | undefined;
};

/** The manual actions that the delivery's status allows. */
export function DeliveryActions({ delivery: { id, status }, blockedReason }: Props) {
  const toasts = Toast.useToastManager();
  const client = useQueryClient();
  const reason = useScopeReason('webhooks:write');
  const done = async (title: string): Promise<void> => {
    toasts.add({ title });
    await Promise.all([
      client.invalidateQueries({ queryKey: ['deliveries'] }),
      client.invalidateQueries({ queryKey: ['events'] }),
    ]);
  };
  const retry = useSubmission({
    mutationFn: () => api.retryDelivery(id),
    onSuccess: () => done('The delivery is being retried'),
    onError: (error) =>
      toasts.add({
        title: 'The delivery was not retried',
        description: describeError(error).message,
        timeout: 0,
      }),
  });
  const retryReason = reason ?? blockedReason;
  const isWaiting = status === 'pending' || status === 'retrying';
  return (
    <>
      {(isWaiting || status === 'failed') && (
        <button
          type="button"
          className="button button-primary"
          disabled={retryReason !== undefined || retry.isPending}
          title={retryReason}
          onClick={() => retry.mutate()}
        >
          Retry now
        </button>
      )}
      {status === 'delivered' && (
        <ConfirmButton
          label="Resend"
          title="Resend this delivery?"
          action="Resend the delivery"
          disabledReason={retryReason}
          run={async () => {
            await api.retryDelivery(id, { force: true });
            await done('The delivery is being resent');
          }}
        >
          <p>
            It was already delivered. A receiver that deduplicates on the event id will ignore the request.
          </p>
        </ConfirmButton>
      )}
      {isWaiting && <RescheduleDialog id={id} disabledReason={reason} onDone={done} />}
      {(isWaiting || status === 'held') && (
        <ConfirmButton
          label="Cancel"
          title="Cancel this delivery?"
          action="Cancel the delivery"
          isDanger
          disabledReason={reason}
          run={async () => {
            await api.cancelDelivery(id);
            await done('The delivery was canceled');
          }}
        >
          <p>A canceled delivery cannot be retried. To send the same data later, publish a new event.</p>
        </ConfirmButton>
      )}
    </>
  );
}
