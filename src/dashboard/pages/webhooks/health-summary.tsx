import { Link } from '@tanstack/react-router';
import type { WebhookWaiting } from '../../../contracts/webhook.ts';
import { StateDot } from '../../components/badges.tsx';
import { WaitingLinks } from '../../components/webhook-name.tsx';
import { countStates, totalOf, waitingCounts, type WebhookState } from '../../webhook-state.ts';

type Props = {
  states: readonly WebhookState[];
  /** Of each webhook; undefined: not known. */
  waiting: readonly WebhookWaiting[] | undefined;
  /** The state that the list is filtered by. */
  filter: WebhookState | undefined;
};

/** How many webhooks are in which state, each a filter of the list, and the waiting deliveries. */
export function HealthSummary({ states, waiting, filter }: Props) {
  return (
    <div className="health-summary numeric">
      <nav className="row" aria-label="Webhooks by state">
        {countStates(states).map(({ state, count }) => (
          <Link
            key={state}
            to="/webhooks"
            search={(search) => ({ ...search, state: state === filter ? undefined : state })}
            activeOptions={{ exact: true }}
            aria-current={state === filter ? 'true' : undefined}
          >
            <StateDot state={state} count={count} />
          </Link>
        ))}
      </nav>
      {waiting && <Waiting waiting={waiting} />}
    </div>
  );
}

function Waiting({ waiting }: { waiting: readonly WebhookWaiting[] }) {
  const counts = waitingCounts(waiting);
  if (counts.length === 0) return <span className="muted">No deliveries waiting</span>;
  const total = totalOf(counts);
  return (
    <span className="row">
      <strong>{total === '1' ? '1 delivery' : `${total} deliveries`} waiting:</strong>
      <WaitingLinks counts={counts} />
    </span>
  );
}
