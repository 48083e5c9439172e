import { skipToken, useQuery, useQueryClient, type QueryClient } from '@tanstack/react-query';

const keyOf = (webhookId: string) => ['unread-secret', webhookId];

/** Hands the secret of a new webhook to its page, in memory only. */
export function storeUnreadSecret(client: QueryClient, webhookId: string, secret: string): void {
  client.setQueryData(keyOf(webhookId), secret);
}

/** The secret of a webhook that was just created here, until it is dismissed. */
export function useUnreadSecret(webhookId: string): { secret: string | undefined; forget: () => void } {
  const client = useQueryClient();
  const { data } = useQuery<string | null>({ queryKey: keyOf(webhookId), queryFn: skipToken });
  return { secret: data ?? undefined, forget: () => client.setQueryData(keyOf(webhookId), null) };
}
