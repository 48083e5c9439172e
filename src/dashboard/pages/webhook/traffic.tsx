import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import type { WebhookRangeStats } from '../../../contracts/stats.ts';
import type { StatsRange } from '../../../contracts/stats-ranges.ts';
import type { Webhook } from '../../../contracts/webhook.ts';
import { AttemptChart } from '../../components/attempt-chart.tsx';
import { Problem } from '../../components/problem-notice.tsx';
import { RangeChoice } from '../../components/range-choice.tsx';
import { ResponseChart } from '../../components/response-chart.tsx';
import { Section } from '../../components/section.tsx';
import { WaitingLinks } from '../../components/webhook-name.tsx';
import { formatCount, formatMs, formatShare } from '../../format.ts';
import { webhookStatsQuery } from '../../queries.ts';
import { failedShare, toneOfShare, totalOf, waitingCounts } from '../../webhook-state.ts';

type Props = { webhook: Webhook; range: StatsRange };

/** The attempts to a webhook over a range, as numbers and charts. */
export function Traffic({ webhook, range }: Props) {
  const { webhook_id: id } = webhook;
  const { data: stats, error } = useQuery(webhookStatsQuery(id, range));
  return (
    <Section title="Overview" className="stack-small" beside={<RangeChoice />}>
      <Problem error={error} />
      <dl className="tiles">
        <Tiles webhook={webhook} stats={stats} />
      </dl>
      <div className="columns">
        <div className="card chart-card">
          {stats && <AttemptChart time={stats} buckets={stats.buckets} webhookId={id} />}
        </div>
        <div className="card chart-card">{stats && <ResponseChart stats={stats} />}</div>
      </div>
    </Section>
  );
}

/** `stats`: undefined while loading. */
function Tiles({ webhook, stats }: { webhook: Webhook; stats: WebhookRangeStats | undefined }) {
  const { webhook_id: id, hourly_cap: cap } = webhook;
  const waiting = stats && waitingCounts([stats.waiting]);
  const share = stats ? failedShare(stats) : null;
  return (
    <>
      <Tile name="Delivered" value={stats && <EndedLink stats={stats} status="delivered" />}>
        deliveries
      </Tile>
      <Tile name="Failed" value={stats && <EndedLink stats={stats} status="failed" />}>
        deliveries, no more retries
      </Tile>
      <Tile name="Waiting" value={waiting && totalOf(waiting)}>
        {waiting && waiting.length > 0 ? <WaitingLinks webhookId={id} counts={waiting} /> : 'deliveries, now'}
      </Tile>
      <Tile
        name="Failure rate"
        value={stats && <span className={toneOfShare(share)}>{formatShare(share)}</span>}
      >
        {stats && `${formatCount(stats.failed_attempts)} of ${formatCount(stats.attempts)} attempts failed`}
      </Tile>
      <Tile name="Response time" value={stats && <>p50 {formatMs(stats.response_ms.p50)}</>}>
        {stats && `p95 ${formatMs(stats.response_ms.p95)} · p99 ${formatMs(stats.response_ms.p99)}`}
      </Tile>
      <Tile name="Hourly cap" value={cap ? formatCount(cap.used) : cap === undefined ? '–' : 'none'}>
        {cap ? `of ${formatCount(cap.limit)} attempts used in the last hour` : 'attempts an hour'}
      </Tile>
    </>
  );
}

type TileProps = {
  name: string;
  /** Undefined while loading. */
  value: ReactNode;
  /** A line that explains the value. */
  children: ReactNode;
};

function Tile({ name, value, children }: TileProps) {
  return (
    <div className="tile">
      <dt>{name}</dt>
      <dd className="tile-value">{value ?? '\u00a0'}</dd>
      <dd className="muted small">{children ?? '\u00a0'}</dd>
    </div>
  );
}

/** How many deliveries ended so, linked to those of the range in the log. */
function EndedLink({ stats, status }: { stats: WebhookRangeStats; status: 'delivered' | 'failed' }) {
  const count = formatCount(stats[status]);
  if (stats[status] === 0) return count;
  return (
    <Link to="/log" search={{ webhook_id: stats.webhook_id, status, since: stats.since }}>
      {count}
    </Link>
  );
}
