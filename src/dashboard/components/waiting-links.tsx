import { Link } from '@tanstack/react-router';
import type { WebhookWaiting } from '../../contracts/webhook.ts';
import { waitingStates } from '../webhook-state.ts';

/** How many deliveries of a webhook have not ended, each number a link to them in the log. */
export function Waiting({ id, waiting }: { id: string; waiting: WebhookWaiting }) {
  const states = waitingStates(waiting);
  if (states.length === 0) return '–';
  return (
    <span className="waiting">
      {states.map(({ status, words }) => (
        <Link key={status} to="/log" search={{ webhook_id: id, status }}>
          {words}
        </Link>
      ))}
    </span>
  );
}
