import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { WebhookWaiting } from '../../contracts/webhook.ts';
import { webhooksQuery } from '../queries.ts';
import { waitingCounts } from '../webhook-state.ts';

/** @example briefUrl('https://your-app.com/events/v2/fltr') // 'your-app.com/…/fltr' */
export function briefUrl(url: string): string {
  if (!URL.canParse(url)) return url;
  const { host, pathname } = new URL(url);
  const parts = pathname.split('/').filter(Boolean);
  const end = parts.at(-1);
  if (end === undefined) return host;
  return parts.length === 1 ? `${host}/${end}` : `${host}/…/${end}`;
}

function useWebhook(webhookId: string) {
  const { data: webhooks } = useQuery(webhooksQuery);
  const webhook = webhooks?.find((each) => each.webhook_id === webhookId);
  return { webhook, name: webhook ? briefUrl(webhook.url) : webhooks ? 'deleted webhook' : '…' };
}

export const WebhookName = ({ webhookId }: { webhookId: string }) => useWebhook(webhookId).name;

export function WebhookLink({ webhookId }: { webhookId: string }) {
  const { webhook, name } = useWebhook(webhookId);
  if (!webhook) return <span title={webhookId}>{name}</span>;
  return (
    <Link to="/webhooks/$id" params={{ id: webhookId }} title={webhook.url}>
      {name}
    </Link>
  );
}

/** The number of a webhook's waiting deliveries per status, linked to the log. */
export function WaitingLinks({ id, waiting }: { id: string; waiting: WebhookWaiting }) {
  const counts = waitingCounts(waiting);
  if (counts.length === 0) return '–';
  return (
    <span className="waiting">
      {counts.map(({ status, text }) => (
        <Link key={status} to="/log" search={{ webhook_id: id, status }}>
          {text}
        </Link>
      ))}
    </span>
  );
}
