import { useQuery } from '@tanstack/react-query';
import type { Webhook } from '../../../contracts/webhook.ts';
import { HourlyChart } from '../../components/charts.tsx';
import { Problem } from '../../components/problem.tsx';
import { ResponseChart } from '../../components/response-chart.tsx';
import { formatCount, formatMs, formatShare } from '../../format.ts';
import { webhookStatsQuery } from '../../queries.ts';

/** The last 24 hours: numbers, and the same by the hour. */
export function Traffic({ webhook }: { webhook: Webhook }) {
  const { webhook_id: id, hourly_cap: cap } = webhook;
  const { data: stats, error } = useQuery(webhookStatsQuery(id));
  const used =
    cap === undefined ? '–' : cap ? `${formatCount(cap.used)} of ${formatCount(cap.limit)}` : 'no cap';
  const numbers = [
    ['Attempts', stats && formatCount(stats.attempts)],
    ['Delivered', stats && formatCount(stats.delivered)],
    ['Failed', stats && formatCount(stats.failed)],
    ['Failure rate', stats && formatShare(stats.failure_rate)],
    ['Response p50', stats && formatMs(stats.response_ms.p50)],
    ['p95', stats && formatMs(stats.response_ms.p95)],
    ['p99', stats && formatMs(stats.response_ms.p99)],
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
