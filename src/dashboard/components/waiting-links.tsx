import { Link } from '@tanstack/react-router';
import type { WebhookWaiting } from '../../contracts/webhook.ts';
import { waitingCounts } from '../webhook-state.ts';

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
