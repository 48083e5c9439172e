import { deliveryStatuses, type DeliveryStatus } from '../../contracts/delivery.ts';
import type { EventSummary } from '../../contracts/event.ts';
import type { WebhookState } from '../webhook-state.ts';

type Tone = 'good' | 'bad' | 'busy' | 'idle' | 'warn';

const toneOfDelivery: Record<DeliveryStatus, Tone> = {
  pending: 'busy',
  retrying: 'warn',
  delivered: 'good',
  failed: 'bad',
  held: 'idle',
  canceled: 'idle',
};

export function Badge({ tone, children }: { tone: Tone; children: string }) {
  return <span className={`badge badge-${tone}`}>{children}</span>;
}

export function DeliveryBadge({ status }: { status: DeliveryStatus }) {
  return <Badge tone={toneOfDelivery[status]}>{status}</Badge>;
}

/** The number of an event's deliveries per status. */
export function StatusCounts({ deliveries }: Pick<EventSummary, 'deliveries'>) {
  if (deliveries.length === 0) return <span className="muted">none</span>;
  return (
    <span className="status-counts numeric">
      {deliveryStatuses.map((status) => {
        const count = deliveries.filter((each) => each.status === status).length;
        return count > 0 && <Badge key={status} tone={toneOfDelivery[status]}>{`${count} ${status}`}</Badge>;
      })}
    </span>
  );
}

const toneOfWebhook: Record<WebhookState, Tone> = {
  down: 'bad',
  disabled: 'bad',
  failing: 'warn',
  paused: 'idle',
  healthy: 'good',
};

/** A webhook's state: a colored dot, and the word. `count`: of so many webhooks. */
export function StateDot({ state, count }: { state: WebhookState; count?: number }) {
  return (
    <span className={`state state-${toneOfWebhook[state]}`}>
      {count === undefined ? state : `${count} ${state}`}
    </span>
  );
}
