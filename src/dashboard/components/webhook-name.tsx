import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { Fragment } from 'react';
import { withoutScheme } from '../format.ts';
import type { LogSearch } from '../log-search.ts';
import { webhooksQuery } from '../queries.ts';
import type { WaitingCount } from '../webhook-state.ts';

/** @example briefUrl('https://your-app.com/events/v2/fltr') // 'your-app.com/…/fltr' */
export function briefUrl(url: string): string {
  if (!URL.canParse(url)) return url;
  if (url.startsWith('mailto:')) return withoutScheme(url);
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

type WaitingLinksProps = {
  /** Of this webhook alone. */
  webhookId?: string;
  counts: readonly WaitingCount[];
};

/** The number of waiting deliveries by status, linked to the log. */
export function WaitingLinks({ webhookId, counts }: WaitingLinksProps) {
  if (counts.length === 0) return '–';
  const search = (filters: LogSearch) => ({
    ...(webhookId !== undefined && { webhook_id: webhookId }),
    ...filters,
  });
  return (
    <span className="waiting">
      {counts.map(({ status, text, parts }) => (
        <span key={status}>
          <Link to="/log" search={search({ status })}>
            {text}
          </Link>
          {parts.map((part, index) => (
            <Fragment key={part.text}>
              {index === 0 ? ' (' : ', '}
              <Link to="/log" search={search({ status, ...part.filters })} className="part">
                {part.text}
              </Link>
            </Fragment>
          ))}
          {parts.length > 0 && ')'}
        </span>
      ))}
    </span>
  );
}
