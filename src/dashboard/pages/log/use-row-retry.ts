import { Toast } from '@base-ui/react/toast';
import { useQuery } from '@tanstack/react-query';
import type { DeliverySummary } from '../../../contracts/delivery.ts';
import { describeError } from '../../components/problem-notice.tsx';
import { useScopeReason } from '../../components/scope.tsx';
import { retryReason } from '../../log/retry-reason.ts';
import { deliveryKeys, webhooksQuery } from '../../queries.ts';
import { api } from '../../session-api.ts';
import { useSubmission } from '../../submission.ts';

/** The retry of a row of the log. */
export function useRowRetry() {
  const toasts = Toast.useToastManager();
  const scopeReason = useScopeReason('webhooks:write');
  const { data: webhooks } = useQuery(webhooksQuery);
  const refuse = (description: string) => toasts.add({ title: 'The delivery was not retried', description });
  const { mutate } = useSubmission({
    mutationFn: (id: string) => api.retryDelivery(id),
    done: 'The delivery is being retried',
    changes: deliveryKeys,
    onError: (error) => refuse(describeError(error).message),
  });
  const reasonOf = (delivery: DeliverySummary): string | undefined =>
    scopeReason ??
    (webhooks &&
      retryReason(
        delivery,
        webhooks.find(({ webhook_id: id }) => id === delivery.webhook_id),
      ));
  return {
    reasonOf,
    retry(delivery: DeliverySummary) {
      const reason = reasonOf(delivery);
      if (reason === undefined) mutate(delivery.id);
      else refuse(reason);
    },
  };
}
