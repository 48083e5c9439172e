import { Link } from '@tanstack/react-router';
import { useEffect, useRef, type ReactNode } from 'react';
import { At } from '../../components/time.tsx';
import { WebhookName } from '../../components/webhook-name.tsx';
import { errorFilterName } from '../../delivery-text.ts';
import { isFiltered, type LogSearch } from '../../log-search.ts';
import { periodNames } from '../../times.ts';

type Chip = { filter: keyof LogSearch; name: string; value: ReactNode };

/** The filters in force but for the status, which has its tabs. */
function chipsOf({
  webhook_id: webhookId,
  event,
  event_id: eventId,
  operation_id: operationId,
  ...rest
}: LogSearch): Chip[] {
  const { code, error, last, since, until } = rest;
  const chips: (Chip | undefined)[] = [
    webhookId === undefined
      ? undefined
      : { filter: 'webhook_id', name: 'Webhook', value: <WebhookName webhookId={webhookId} /> },
    event === undefined ? undefined : { filter: 'event', name: 'Event type', value: event },
    eventId === undefined ? undefined : { filter: 'event_id', name: 'Event', value: eventId },
    operationId === undefined ? undefined : { filter: 'operation_id', name: 'Operation', value: operationId },
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

/** The filters in force, each with a link that removes it. */
export function FilterChips({ search }: { search: LogSearch }) {
  const chips = chipsOf(search);
  const list = useRef<HTMLUListElement>(null);
  const before = useRef(chips.length);
  const isShown = isFiltered(search);
  useEffect(() => {
    // The link that had the focus is gone.
    if (chips.length < before.current && document.activeElement === document.body) list.current?.focus();
    before.current = chips.length;
  });
  return (
    <ul ref={list} tabIndex={-1} className="chips" aria-label="Active filters">
      {chips.map(({ filter, name, value }) => (
        <li key={filter}>
          <Link to="/log" search={{ ...search, [filter]: undefined }} resetScroll={false} className="chip">
            <span className="visually-hidden">Remove filter </span>
            <span className="chip-text">
              {name}: {value}
            </span>
            <span aria-hidden="true">×</span>
          </Link>
        </li>
      ))}
      {isShown && (
        <li>
          <Link to="/log" search={{}} resetScroll={false} className="chips-clear">
            Clear
          </Link>
        </li>
      )}
    </ul>
  );
}
