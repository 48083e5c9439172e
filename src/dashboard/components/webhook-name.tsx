import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { webhooksQuery } from '../queries.ts';

/** @example briefUrl('https://your-app.com/events/v2/fltr') // 'your-app.com/…/fltr' */
export function briefUrl(url: string): string {
  if (!URL.canParse(url)) return url;
  const { host, pathname } = new URL(url);
  const parts = pathname.split('/').filter(Boolean);
  const end = parts.at(-1);
  if (end === undefined) return host;
  return parts.length === 1 ? `${host}/${end}` : `${host}/…/${end}`;
}

/** Looks up the short URL of a webhook by its id. */
export function useWebhookName(): (webhookId: string) => string {
  const { data: webhooks } = useQuery(webhooksQuery);
  return (webhookId) => {
    const webhook = webhooks?.find((each) => each.webhook_id === webhookId);
    if (webhook) return briefUrl(webhook.url);
    return webhooks ? 'deleted webhook' : '…';
  };
}

export function WebhookLink({ webhookId }: { webhookId: string }) {
  const { data: webhooks } = useQuery(webhooksQuery);
  const nameOf = useWebhookName();
  const webhook = webhooks?.find((each) => each.webhook_id === webhookId);
  if (!webhook) return <span title={webhookId}>{nameOf(webhookId)}</span>;
  return (
    <Link to="/webhooks/$id" params={{ id: webhookId }} title={webhook.url}>
      {nameOf(webhookId)}
    </Link>
  );
}
