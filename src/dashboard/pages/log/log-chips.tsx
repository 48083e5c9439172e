import { Link } from '@tanstack/react-router';
import { FilterChips, type Chip } from '../../components/filter-chips.tsx';
import { At } from '../../components/time.tsx';
import { WebhookName } from '../../components/webhook-name.tsx';
import { errorFilterName } from '../../delivery-text.ts';
import { isFiltered, type LogSearch } from '../../log-search.ts';
import { waitNames } from '../../operation-text.ts';
import { periodNames } from '../../times.ts';

/** The filters in force but for the status, which has its tabs. */
function chipsOf({
  webhook_id: webhookId,
  event,
  event_id: eventId,
  operation_id: operationId,
  ...rest
}: LogSearch): Chip[] {
  const { deferred, code, error, last, since, until } = rest;
  const { waits_for: waitsFor, blocks_line: blocksLine, order_key: orderKey } = rest;
  const chips: (Chip | undefined)[] = [
    webhookId === undefined
      ? undefined
      : { filter: 'webhook_id', name: 'Webhook', value: <WebhookName webhookId={webhookId} /> },
    event === undefined ? undefined : { filter: 'event', name: 'Event type', value: event },
    eventId === undefined ? undefined : { filter: 'event_id', name: 'Event', value: eventId },
    operationId === undefined ? undefined : { filter: 'operation_id', name: 'Operation', value: operationId },
    deferred === undefined ? undefined : { filter: 'deferred', name: 'Only', value: 'deferred' },
    waitsFor === undefined ? undefined : { filter: 'waits_for', name: 'Only', value: waitNames[waitsFor] },
    blocksLine === undefined
      ? undefined
      : { filter: 'blocks_line', name: 'Only', value: 'blocking their order' },
    orderKey === undefined ? undefined : { filter: 'order_key', name: 'Order key', value: orderKey },
    code === undefined ? undefined : { filter: 'code', name: 'Code', value: code },
    error === undefined ? undefined : { filter: 'error', name: 'Error', value: errorFilterName(error) },
    last === undefined ? undefined : { filter: 'last', name: 'Accepted', value: periodNames[last] },
    // A period takes precedence.
    since === undefined || last !== undefined
      ? undefined
      : { filter: 'since', name: 'Accepted from', value: <At at={since} /> },
    until === undefined || last !== undefined
      ? undefined
      : { filter: 'until', name: 'Accepted before', value: <At at={until} /> },
  ];
  return chips.filter((chip) => chip !== undefined);
}

/** The filters of the log. */
export function LogChips({ search }: { search: LogSearch }) {
  return (
    <FilterChips
      chips={chipsOf(search)}
      isFiltered={isFiltered(search)}
      renderLink={(filter, className, children) => (
        <Link
          to="/log"
          search={filter === null ? {} : { ...search, [filter]: undefined }}
          resetScroll={false}
          className={className}
        >
          {children}
        </Link>
      )}
    />
  );
}
