import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import type { Webhook, WebhookStats } from '../../../contracts/webhook.ts';
import { HourlyChart } from '../../components/charts.tsx';
import { Problem } from '../../components/problem-notice.tsx';
import { ResponseChart } from '../../components/response-chart.tsx';
import { formatCount, formatMs, formatShare } from '../../format.ts';
import { webhookStatsQuery } from '../../queries.ts';
import { failedShare } from '../../webhook-state.ts';
import { Waiting } from '../../components/waiting-links.tsx';

/** The last 24 hours: numbers, and the same by the hour. */
export function Traffic({ webhook }: { webhook: Webhook }) {
  const { webhook_id: id, hourly_cap: cap } = webhook;
  const { data: stats, error } = useQuery(webhookStatsQuery(id));
  const used =
    cap === undefined ? '–' : cap ? `${formatCount(cap.used)} of ${formatCount(cap.limit)}` : 'no cap';
  const numbers: [string, ReactNode][] = [
    ['Waiting now', stats && <Waiting id={id} waiting={stats.waiting} />],
    ['Attempts', stats && formatCount(stats.attempts)],
    ['Attempts failed', stats && <FailedAttempts stats={stats} />],
    ['Deliveries delivered', stats && formatCount(stats.delivered)],
    ['Deliveries failed', stats && formatCount(stats.failed)],
    ['Delivery failure rate', stats && formatShare(stats.failure_rate)],
    ['Response time p50', stats && formatMs(stats.response_ms.p50)],
    ['Response time p95', stats && formatMs(stats.response_ms.p95)],
    ['Response time p99', stats && formatMs(stats.response_ms.p99)],
    ['Attempts in the last hour', used],
  ];
  return (
    <section className="stack-small" aria-labelledby="traffic-title">
      <h2 id="traffic-title">Last 24 hours</h2>
      <Problem error={error} />
      <dl className="tiles">
        {numbers.map(([name, value]) => (
          <div key={name} className="tile">
            <dt>{name}</dt>
            <dd>{value ?? '\u00a0'}</dd>
          </div>
        ))}
      </dl>
      <div className="columns">
        <div className="card chart-card">{stats && <HourlyChart hourly={stats.hourly} />}</div>
        <div className="card chart-card">{stats && <ResponseChart hourly={stats.hourly} />}</div>
      </div>
    </section>
  );
}

function FailedAttempts({ stats }: { stats: WebhookStats }) {
  const share = failedShare(stats);
  return (
    <span className={share !== null && share >= 0.5 ? 'bad' : undefined}>
      {withShare(stats.failed_attempts, share)}
    </span>
  );
}

const withShare = (count: number, share: number | null): string =>
  share === null ? formatCount(count) : `${formatCount(count)} (${formatShare(share)})`;
