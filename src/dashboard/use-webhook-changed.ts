import { Toast } from '@base-ui/react/toast';
import { useQueryClient } from '@tanstack/react-query';

/** After a webhook was changed: refetches everything that shows it, and shows a toast. */
export function useWebhookChanged(): (title: string) => Promise<void> {
  const queryClient = useQueryClient();
  const { add } = Toast.useToastManager();
  return async (title) => {
    add({ title });
    const keys = ['webhooks', 'stats', 'deliveries'];
    await Promise.all(keys.map((key) => queryClient.invalidateQueries({ queryKey: [key] })));
  };
}
