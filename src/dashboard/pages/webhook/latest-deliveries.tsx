import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { DeliverySummary } from '../../../contracts/delivery.ts';
import { api } from '../../session-api.ts';
import { Problem } from '../../components/problem-notice.tsx';
import { SkeletonRows } from '../../components/skeleton-rows.tsx';
import { DeliveryBadge } from '../../components/badges.tsx';
import { Ago, Countdown } from '../../components/time.tsx';
import { liveMs } from '../../queries.ts';

const shownRows = 10;

export function LatestDeliveries({ webhookId }: { webhookId: string }) {
  const { data, error } = useQuery({
    queryKey: ['deliveries', 'latest', webhookId],
    queryFn: () => api.listDeliveries({ webhook_id: webhookId, limit: shownRows }),
    refetchInterval: liveMs,
  });
  return (
    <section className="stack-small" aria-labelledby="latest-title">
      <div className="row spread">
        <h2 id="latest-title">Latest deliveries</h2>
        <Link to="/log" search={{ webhook_id: webhookId }}>
          View all in the delivery log
        </Link>
      </div>
      <Problem error={error} />
      {data?.data.length === 0 ? (
        <p className="notice">
          No deliveries yet. Publish an event that this webhook subscribes to:{' '}
          <Link to="/events/send">Send event</Link>. Test events are not listed here.
        </p>
      ) : (
        <div className="table-wrap">
          <table>
            <caption className="visually-hidden">Latest deliveries to this webhook, newest first</caption>
            <thead>
              <tr>
                <th scope="col">Event</th>
                <th scope="col">Status</th>
                <th scope="col">Response</th>
                <th scope="col">Attempts</th>
                <th scope="col">Accepted</th>
                <th scope="col" className="wide-only">
                  Next attempt
                </th>
              </tr>
            </thead>
            <tbody>
              {data?.data.map((delivery) => <Row key={delivery.id} delivery={delivery} />) ?? (
                <SkeletonRows rows={3} columns={6} />
              )}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function Row({ delivery }: { delivery: DeliverySummary }) {
  const {
    id,
    event,
    status,
    attempt_count: attempts,
    created_at: createdAt,
    next_attempt_at: next,
  } = delivery;
  const { last_status_code: code, last_error_code: errorCode, reason } = delivery;
  return (
    <tr>
      <th scope="row">
        <Link to="/log/$id" params={{ id }}>
          {event}
        </Link>
      </th>
      <td>
        <DeliveryBadge status={status} />
      </td>
      <td className="small">{code ?? errorCode ?? reason ?? '–'}</td>
      <td className="numeric">{attempts}</td>
      <td className="nowrap">
        <Ago at={createdAt} />
      </td>
      <td className="wide-only nowrap">{next ? <Countdown to={next} /> : '–'}</td>
    </tr>
  );
}
