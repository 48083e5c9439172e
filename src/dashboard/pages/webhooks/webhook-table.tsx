import { Link } from '@tanstack/react-router';
import type { RangeStats } from '../../../contracts/stats.ts';
import type { Webhook } from '../../../contracts/webhook.ts';
import { isAlert } from '../../../domain/subscription.ts';
import { Sparkline } from '../../components/attempt-chart.tsx';
import { StateDot } from '../../components/badges.tsx';
import { StateDetails } from '../../components/state-details.tsx';
import { Table, type Column } from '../../components/table.tsx';
import { Day } from '../../components/time.tsx';
import { WaitingLinks } from '../../components/webhook-name.tsx';
import { countText, formatShare, withoutScheme } from '../../format.ts';
import { failedShare, toneOfShare, totalOf, waitingCounts, type WebhookState } from '../../webhook-state.ts';

export type WebhookRow = {
  webhook: Webhook;
  state: WebhookState;
  /** The last 24 hours; undefined: not known. */
  stats: RangeStats['data'][number] | undefined;
};
/** The API stops counting here. */
const maxBlocked = 1000;

const columns: Column<WebhookRow>[] = [
  {
    name: 'URL',
    isRowHeader: true,
    cell: ({ webhook: { webhook_id: id, url, description, events } }) => (
      <>
        <Link to="/webhooks/$id" params={{ id }} className="clamped" title={url}>
          {withoutScheme(url)}
        </Link>
        {description && <div className="muted small clamped">{description}</div>}
        {isAlert(events) && (
          <div className="small">
            <Link to="/alerts">Alert</Link>
          </div>
        )}
      </>
    ),
  },
  {
    name: 'State',
    cell: ({ webhook, state, stats }) => (
      <>
        <StateDot state={state} />
        <StateDetails webhook={webhook} />
        <Blocked webhook={webhook} />
        {stats && <NarrowNumbers stats={stats} />}
      </>
    ),
  },
  { name: 'Events', isWideOnly: true, cell: ({ webhook: { events } }) => <EventList events={events} /> },
  {
    name: 'Waiting',
    className: 'small',
    isWideOnly: true,
    cell: ({ webhook: { webhook_id: id }, stats }) =>
      stats && <WaitingLinks webhookId={id} counts={waitingCounts([stats.waiting])} />,
  },
  {
    name: 'Failure rate, 24 h',
    className: 'numeric',
    isWideOnly: true,
    cell: ({ stats }) => stats && <FailureRate stats={stats} />,
  },
  {
    name: 'Attempts, 24 h',
    className: 'sparkline-cell',
    isWideOnly: true,
    cell: ({ stats }) => stats && <Sparkline buckets={stats.buckets} />,
  },
  {
    name: 'Created',
    className: 'nowrap',
    isWideOnly: true,
    cell: ({ webhook: { created_at: at } }) => <Day at={at} />,
  },
];

/** `rows`: undefined while loading. */
export function WebhookTable({ rows }: { rows: readonly WebhookRow[] | undefined }) {
  return (
    <Table
      caption="Webhooks, the most urgent first, then the newest"
      className="webhook-table"
      columns={columns}
      rows={rows}
      keyOf={({ webhook }) => webhook.webhook_id}
      skeletonRows={5}
    />
  );
}

/** Of attempts. */
function FailureRate({ stats }: { stats: NonNullable<WebhookRow['stats']> }) {
  const share = failedShare(stats);
  return <span className={toneOfShare(share)}>{formatShare(share)}</span>;
}

function Blocked({ webhook: { webhook_id: id, blocked_lines: count } }: { webhook: Webhook }) {
  if (count === 0) return null;
  return (
    <div className="small">
      <Link to="/log" search={{ webhook_id: id, blocks_line: true }}>
        {count === 1
          ? '1 delivery blocks others'
          : `${countText(count, count >= maxBlocked)} deliveries block others`}
      </Link>
    </div>
  );
}

/** On a narrow screen, in place of two columns. */
function NarrowNumbers({ stats }: { stats: NonNullable<WebhookRow['stats']> }) {
  const share = failedShare(stats);
  const waiting = waitingCounts([stats.waiting]);
  return (
    <span className="narrow-line small numeric">
      {share !== null && share > 0 && (
        <span className={toneOfShare(share)}>{`${formatShare(share)} failed `}</span>
      )}
      {waiting.length > 0 && <span className="muted">{`${totalOf(waiting)} waiting`}</span>}
    </span>
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
