import { skipToken, useQuery, useQueryClient, type QueryClient } from '@tanstack/react-query';

const keyOf = (webhookId: string) => ['new-secret', webhookId];

/** Keeps the secret of a webhook that was just created for its page: in this page's memory alone, until it is read. */
export function keepNewSecret(client: QueryClient, webhookId: string, secret: string): void {
  client.setQueryData(keyOf(webhookId), secret);
}

/** The secret, where the webhook was just created here and its secret is not read yet. */
export function useNewSecret(webhookId: string): { secret: string | undefined; forget: () => void } {
  const client = useQueryClient();
  const { data } = useQuery<string | null>({ queryKey: keyOf(webhookId), queryFn: skipToken });
  return { secret: data ?? undefined, forget: () => client.setQueryData(keyOf(webhookId), null) };
}
