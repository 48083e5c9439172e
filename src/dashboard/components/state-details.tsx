import type { Webhook } from '../../contracts/webhook.ts';
import { Ago, At, Countdown } from './time.tsx';

/** Below a webhook's badge: since when it is down, and its next probe; or until when it is paused. */
export function StateDetails({ webhook: { active, health, paused } }: { webhook: Webhook }) {
  if (paused?.until)
    return (
      <div className="muted small">
        until <At at={paused.until} />
      </div>
    );
  if (!active || health.state !== 'down') return null;
  return (
    <div className="muted small">
      {health.since && (
        <>
          since <Ago at={health.since} />
        </>
      )}
      {health.next_probe_at && (
        <>
          , next probe <Countdown to={health.next_probe_at} />
        </>
      )}
    </div>
  );
}
