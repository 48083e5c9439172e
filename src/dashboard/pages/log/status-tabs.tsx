import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';
import type { DeliveryStatus } from '../../../contracts/delivery.ts';
import { countOf } from '../../log/counts.ts';
import type { LogSearch } from '../../log-search.ts';
import { countsQuery } from '../../queries.ts';

/** States that need attention come first. */
const tabs: readonly [status: DeliveryStatus | undefined, label: string][] = [
  [undefined, 'All'],
  ['failed', 'Failed'],
  ['retrying', 'Retrying'],
  ['pending', 'Pending'],
  ['held', 'Held'],
  ['delivered', 'Delivered'],
  ['canceled', 'Canceled'],
];

type Props = { search: LogSearch; open: string | undefined };

/** The filter by status, with the number of deliveries that match the other filters. */
export function StatusTabs({ search, open }: Props) {
  const { data } = useQuery(countsQuery(search));
  const list = useRef<HTMLUListElement>(null);
  const chosen = search.status ?? 'all';
  // On a narrow screen the tabs scroll sideways.
  useEffect(() => {
    const current = list.current?.querySelector(`[data-tab="${chosen}"]`);
    current?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }, [chosen]);
  return (
    <nav aria-label="Status" className="tabs">
      <ul ref={list}>
        {tabs.map(([status, label]) => (
          <li key={label} data-tab={status ?? 'all'}>
            <Link
              to="/log"
              // The current one is the whole address.
              search={{ ...search, status, open: status === search.status ? open : undefined }}
              activeOptions={{ exact: true, includeSearch: true }}
              resetScroll={false}
              className="tab"
            >
              {label}
              <span className="tab-count numeric">{data ? countOf(data, status) : '\u00a0'}</span>
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  );
}
