import { Toast } from '@base-ui/react/toast';
import { useQueryClient } from '@tanstack/react-query';
import type { Delivery } from '../../../contracts/delivery.ts';
import { api } from '../../session-api.ts';
import { Confirm } from '../../components/confirm-button.tsx';
import { describeError } from '../../components/problem-notice.tsx';
import { useScopeReason } from '../../components/scope.tsx';
import { Reschedule } from './reschedule-dialog.tsx';
import { useSubmission } from '../../submission.ts';

type Props = {
  delivery: Delivery;
  /** Why nothing can be sent to its webhook; undefined: it can. */
  obstacle: string | undefined;
};

/** What can be done to a delivery, as its status and its webhook allow. */
export function Steer({ delivery: { id, status }, obstacle }: Props) {
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
    onSuccess: () => done('The next attempt is being made'),
    onError: (error) =>
      toasts.add({ title: 'It was not retried', description: describeError(error).message, timeout: 0 }),
  });
  const retryReason = reason ?? obstacle;
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
        <Confirm
          label="Resend"
          title="Send it again?"
          action="Send it again"
          disabledReason={retryReason}
          run={async () => {
            await api.retryDelivery(id, { force: true });
            await done('It is being sent again');
          }}
        >
          <p>It was delivered. A receiver that deduplicates by the event&apos;s id will ignore it.</p>
        </Confirm>
      )}
      {isWaiting && <Reschedule id={id} disabledReason={reason} onDone={done} />}
      {(isWaiting || status === 'held') && (
        <Confirm
          label="Cancel"
          title="Cancel this delivery?"
          action="Cancel the delivery"
          isDanger
          disabledReason={reason}
          run={async () => {
            await api.cancelDelivery(id);
            await done('The delivery is canceled');
          }}
        >
          <p>
            It is not attempted again, and cannot be retried. To send the same later, publish it under a new
            id.
          </p>
        </Confirm>
      )}
    </>
  );
}
