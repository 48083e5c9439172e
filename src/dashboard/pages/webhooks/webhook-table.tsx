import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { Webhook } from '../../../contracts/webhook.ts';
import { Sparkline } from '../../components/attempt-chart.tsx';
import { Problem } from '../../components/problem-notice.tsx';
import { SkeletonRows } from '../../components/skeleton-rows.tsx';
import { WebhookBadge } from '../../components/badges.tsx';
import { Day } from '../../components/time.tsx';
import { formatShare, withoutScheme } from '../../format.ts';
import { statsQuery } from '../../queries.ts';
import { failedShare } from '../../webhook-state.ts';
import { WaitingLinks } from '../../components/waiting-links.tsx';

/** `webhooks`: undefined while loading. */
export function WebhookTable({ webhooks }: { webhooks: readonly Webhook[] | undefined }) {
  const { data: stats, error } = useQuery(statsQuery);
  return (
    <>
      <Problem error={error} />
      <div className="table-wrap">
        <table className="webhook-table">
          <caption className="visually-hidden">Webhooks, newest first</caption>
          <thead>
            <tr>
              <th scope="col">URL</th>
              <th scope="col">State</th>
              <th scope="col" className="wide-only">
                Events
              </th>
              <th scope="col">Waiting</th>
              <th scope="col">Failed, 24 h</th>
              <th scope="col" className="wide-only">
                Attempts, 24 h
              </th>
              <th scope="col" className="wide-only">
                Created
              </th>
            </tr>
          </thead>
          <tbody>
            {webhooks?.map((webhook) => (
              <Row
                key={webhook.webhook_id}
                webhook={webhook}
                stats={stats?.data.find((each) => each.webhook_id === webhook.webhook_id)}
              />
            )) ?? <SkeletonRows rows={5} columns={7} />}
          </tbody>
        </table>
      </div>
    </>
  );
}

type Stats = Awaited<ReturnType<NonNullable<typeof statsQuery.queryFn>>>['data'][number];

function Row({ webhook, stats }: { webhook: Webhook; stats: Stats | undefined }) {
  const { webhook_id: id, url, description, events, created_at: createdAt } = webhook;
  const share = stats ? failedShare(stats) : null;
  return (
    <tr>
      <th scope="row">
        <Link to="/webhooks/$id" params={{ id }} className="clamped" title={url}>
          {withoutScheme(url)}
        </Link>
        {description && <div className="muted small clamped">{description}</div>}
      </th>
      <td>
        <WebhookBadge webhook={webhook} hourly={stats?.hourly} />
      </td>
      <td className="wide-only">
        <EventList events={events} />
      </td>
      <td className="small">{stats ? <WaitingLinks id={id} waiting={stats.waiting} /> : '\u00a0'}</td>
      <td className={share !== null && share >= 0.5 ? 'numeric bad' : 'numeric'}>
        {stats ? formatShare(share) : '\u00a0'}
      </td>
      <td className="wide-only sparkline-cell">{stats && <Sparkline hourly={stats.hourly} />}</td>
      <td className="wide-only nowrap">
        <Day at={createdAt} />
      </td>
    </tr>
  );
}

const shownEvents = 2;

function EventList({ events }: { events: readonly string[] }) {
  const more = events.length - shownEvents;
  return (
    <span title={events.join(', ')} className="small">
      {events.slice(0, shownEvents).map((event) => (
        <code key={event} className="event-name">
          {event}
        </code>
      ))}
      {more > 0 && <span className="muted">and {more} more</span>}
    </span>
  );
}
