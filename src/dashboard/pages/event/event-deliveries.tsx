import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { EventSummary } from '../../../contracts/event.ts';
import { DeliveryBadge } from '../../components/badges.tsx';
import { Countdown } from '../../components/time.tsx';
import { WebhookLink } from '../../components/webhook-name.tsx';
import { statusText } from '../../delivery-text.ts';
import { deliveryQuery } from '../../delivery-queries.ts';

/** Details are loaded for this many deliveries: each is a request that reads a workflow history. */
const maxDetailed = 20;

export function EventDeliveries({ event: { deliveries } }: { event: Pick<EventSummary, 'deliveries'> }) {
  return (
    <section className="stack" aria-labelledby="deliveries">
      <h2 id="deliveries">Deliveries</h2>
      {deliveries.length === 0 ? (
        <p className="muted">None. No webhook was subscribed to this type when the event was accepted.</p>
      ) : (
        <div className="table-wrap">
          <table>
            <caption className="visually-hidden">Deliveries of this event</caption>
            <thead>
              <tr>
                <th scope="col">Webhook</th>
                <th scope="col">Status</th>
                <th scope="col">Details</th>
                <th scope="col">Delivery</th>
              </tr>
            </thead>
            <tbody>
              {deliveries.map((delivery, index) => (
                <tr key={delivery.id}>
                  <th scope="row">
                    <WebhookLink webhookId={delivery.webhook_id} />
                  </th>
                  <td>
                    <DeliveryBadge status={delivery.status} />
                  </td>
                  <td>
                    <Details delivery={delivery} isDetailed={index < maxDetailed} />
                  </td>
                  <td>
                    <Link to="/log/$id" params={{ id: delivery.id }} className="nowrap">
                      View delivery
                      <span className="visually-hidden"> ({delivery.id})</span>
                    </Link>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

type DetailsProps = { delivery: EventSummary['deliveries'][number]; isDetailed: boolean };

function Details({ delivery: { id, status }, isDetailed }: DetailsProps) {
  const isPlain = status === 'delivered' || status === 'held';
  const { data } = useQuery({ ...deliveryQuery(id), enabled: isDetailed && !isPlain });
  const next = data?.next_attempt_at ?? null;
  return (
    <span className="small">
      {statusText({ status, reason: data?.reason ?? null, next_attempt_at: next }, data?.attempts.at(-1))}
      {next !== null && (
        <>
          {' '}
          Next attempt <Countdown to={next} />.
        </>
      )}
    </span>
  );
}
