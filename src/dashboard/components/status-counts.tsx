import { deliveryStatuses } from '../../contracts/delivery.ts';
import type { EventSummary } from '../../contracts/event.ts';
import { Badge, toneOfDelivery } from './badges.tsx';

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
