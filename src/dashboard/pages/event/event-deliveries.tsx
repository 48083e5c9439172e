import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { EventSummary } from '../../../contracts/event.ts';
import { DeliveryBadge } from '../../components/badges.tsx';
import { Countdown } from '../../components/time.tsx';
import { WebhookLink } from '../../components/webhook-name.tsx';
import { standInWords } from '../../delivery-text.ts';
import { deliveryQuery } from '../../delivery-queries.ts';

/** Of so many deliveries more is asked for: each is a call, and a history that is read. */
const maxAsked = 20;

/** The webhooks that an event goes to, and where each delivery stands. */
export function EventDeliveries({ event: { deliveries } }: { event: Pick<EventSummary, 'deliveries'> }) {
  return (
    <section className="stack" aria-labelledby="deliveries">
      <h2 id="deliveries">Deliveries</h2>
      {deliveries.length === 0 ? (
        <p className="muted">None: no webhook was subscribed to its type when it was accepted.</p>
      ) : (
        <div className="table-wrap">
          <table>
            <caption className="visually-hidden">The deliveries of this event</caption>
            <thead>
              <tr>
                <th scope="col">Webhook</th>
                <th scope="col">Status</th>
                <th scope="col">Why</th>
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
                    <Why delivery={delivery} isAsked={index < maxAsked} />
                  </td>
                  <td>
                    <Link to="/log/$id" params={{ id: delivery.id }} className="nowrap">
                      Its attempts
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

type WhyProps = { delivery: EventSummary['deliveries'][number]; isAsked: boolean };

function Why({ delivery: { id, status }, isAsked }: WhyProps) {
  const isPlain = status === 'delivered' || status === 'held';
  const { data } = useQuery({ ...deliveryQuery(id), enabled: isAsked && !isPlain });
  const next = data?.next_attempt_at ?? null;
  return (
    <span className="small">
      {standInWords({ status, reason: data?.reason ?? null, next_attempt_at: next }, data?.attempts.at(-1))}
      {next !== null && (
        <>
          {' '}
          Next attempt <Countdown to={next} />.
        </>
      )}
    </span>
  );
}
