import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import type { Webhook, WebhookStats } from '../../../contracts/webhook.ts';
import { AttemptChart } from '../../components/attempt-chart.tsx';
import { Problem } from '../../components/problem-notice.tsx';
import { ResponseChart } from '../../components/response-chart.tsx';
import { Section } from '../../components/section.tsx';
import { WaitingLinks } from '../../components/webhook-name.tsx';
import { formatCount, formatMs, formatShare } from '../../format.ts';
import { webhookStatsQuery } from '../../queries.ts';
import { failedShare, isMostlyFailing } from '../../webhook-state.ts';

export function Traffic({ webhook }: { webhook: Webhook }) {
  const { webhook_id: id, hourly_cap: cap } = webhook;
  const { data: stats, error } = useQuery(webhookStatsQuery(id));
  const used =
    cap === undefined ? '–' : cap ? `${formatCount(cap.used)} of ${formatCount(cap.limit)}` : 'no cap';
  const figures: [name: string, value: ReactNode][] = [
    ['Waiting now', stats && <WaitingLinks id={id} waiting={stats.waiting} />],
    ['Attempts', stats && formatCount(stats.attempts)],
    ['Failed attempts', stats && <FailedAttempts stats={stats} />],
    ['Delivered', stats && formatCount(stats.delivered)],
    ['Failed deliveries', stats && formatCount(stats.failed)],
    ['Failure rate', stats && formatShare(stats.failure_rate)],
    ['Response time p50', stats && formatMs(stats.response_ms.p50)],
    ['Response time p95', stats && formatMs(stats.response_ms.p95)],
    ['Response time p99', stats && formatMs(stats.response_ms.p99)],
    ['Hourly cap used', used],
  ];
  return (
    <Section title="Last 24 hours" className="stack-small">
      <Problem error={error} />
      <dl className="tiles">
        {figures.map(([name, value]) => (
          <div key={name} className="tile">
            <dt>{name}</dt>
            <dd>{value ?? '\u00a0'}</dd>
          </div>
        ))}
      </dl>
      <div className="columns">
        <div className="card chart-card">{stats && <AttemptChart hourly={stats.hourly} />}</div>
        <div className="card chart-card">{stats && <ResponseChart hourly={stats.hourly} />}</div>
      </div>
    </Section>
  );
}

function FailedAttempts({ stats }: { stats: WebhookStats }) {
  const share = failedShare(stats);
  return (
    <span className={isMostlyFailing(share) ? 'bad' : undefined}>
      {formatCount(stats.failed_attempts)}
      {share !== null && ` (${formatShare(share)})`}
    </span>
  );
}
