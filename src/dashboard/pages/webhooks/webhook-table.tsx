import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { Stats } from '../../../contracts/stats.ts';
import type { Webhook } from '../../../contracts/webhook.ts';
import { Sparkline } from '../../components/attempt-chart.tsx';
import { Problem } from '../../components/problem-notice.tsx';
import { Table, type Column } from '../../components/table.tsx';
import { WebhookBadge } from '../../components/badges.tsx';
import { StateDetails } from '../../components/state-details.tsx';
import { Day } from '../../components/time.tsx';
import { formatShare, withoutScheme } from '../../format.ts';
import { statsQuery } from '../../queries.ts';
import { failedShare, isMostlyFailing } from '../../webhook-state.ts';
import { WaitingLinks } from '../../components/webhook-name.tsx';

type Row = { webhook: Webhook; stats: Stats['data'][number] | undefined };

const columns: Column<Row>[] = [
  {
    name: 'URL',
    isRowHeader: true,
    cell: ({ webhook: { webhook_id: id, url, description } }) => (
      <>
        <Link to="/webhooks/$id" params={{ id }} className="clamped" title={url}>
          {withoutScheme(url)}
        </Link>
        {description && <div className="muted small clamped">{description}</div>}
      </>
    ),
  },
  {
    name: 'State',
    cell: ({ webhook, stats }) => (
      <>
        <WebhookBadge webhook={webhook} hourly={stats?.hourly} />
        <StateDetails webhook={webhook} />
      </>
    ),
  },
  { name: 'Events', isWideOnly: true, cell: ({ webhook: { events } }) => <EventList events={events} /> },
  {
    name: 'Waiting',
    className: 'small',
    cell: ({ webhook: { webhook_id: id }, stats }) =>
      stats ? <WaitingLinks id={id} waiting={stats.waiting} /> : '\u00a0',
  },
  {
    name: 'Failed, 24 h',
    className: 'numeric',
    cell: ({ stats }) => (stats ? <FailedShare stats={stats} /> : '\u00a0'),
  },
  {
    name: 'Attempts, 24 h',
    className: 'sparkline-cell',
    isWideOnly: true,
    cell: ({ stats }) => stats && <Sparkline hourly={stats.hourly} />,
  },
  {
    name: 'Created',
    className: 'nowrap',
    isWideOnly: true,
    cell: ({ webhook: { created_at: at } }) => <Day at={at} />,
  },
];

/** `webhooks`: undefined while loading. */
export function WebhookTable({ webhooks }: { webhooks: readonly Webhook[] | undefined }) {
  const { data: stats, error } = useQuery(statsQuery);
  const rows = webhooks?.map((webhook) => ({
    webhook,
    stats: stats?.data.find((each) => each.webhook_id === webhook.webhook_id),
  }));
  return (
    <>
      <Problem error={error} />
      <Table
        caption="Webhooks, newest first"
        className="webhook-table"
        columns={columns}
        rows={rows}
        keyOf={({ webhook }) => webhook.webhook_id}
        skeletonRows={5}
      />
    </>
  );
}

function FailedShare({ stats }: { stats: NonNullable<Row['stats']> }) {
  const share = failedShare(stats);
  return <span className={isMostlyFailing(share) ? 'bad' : undefined}>{formatShare(share)}</span>;
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
