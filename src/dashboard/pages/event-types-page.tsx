import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import type { EventTypeInfo } from '../../contracts/event-types.ts';
import type { EventTypeStats } from '../../contracts/stats.ts';
import { Badge } from '../components/badges.tsx';
import { InputField } from '../components/field.tsx';
import { PageHeader } from '../components/page-header.tsx';
import { Problem } from '../components/problem-notice.tsx';
import { EmptyState } from '../components/section.tsx';
import { Table, type Column } from '../components/table.tsx';
import { isSubscribed } from '../event-filters.ts';
import { formatCount, formatShare } from '../format.ts';
import { eventTypesQuery, eventTypeStatsQuery, webhooksQuery } from '../queries.ts';
import { toneOfShare } from '../webhook-state.ts';

const route = getRouteApi('/signed-in/event-types');
const subtitle = 'The events that a webhook can subscribe to. Open a type to see its fields and an example.';

/** Where a type is defined, in words. */
export const sourceNames = { built_in: 'Built in', file: 'Types file', api: 'API' } as const;

type Row = {
  type: EventTypeInfo;
  /** Undefined while loading. */
  subscribers: number | undefined;
  stats: EventTypeStats['data'][number] | 'none' | undefined;
};

export function EventTypesPage() {
  const { filter = '' } = route.useSearch();
  const { data: types, error } = useQuery(eventTypesQuery);
  const { data: stats, error: statsError } = useQuery(eventTypeStatsQuery);
  const { data: webhooks, error: webhooksError } = useQuery(webhooksQuery);
  const shown = types?.data.filter((type) => matches(type, filter));
  const rows = shown?.map((type) => ({
    type,
    subscribers: webhooks?.filter(({ events }) => isSubscribed(events, type.event)).length,
    stats: stats && (stats.data.find(({ event }) => event === type.event) ?? ('none' as const)),
  }));
  return (
    <>
      <PageHeader title="Event types" subtitle={subtitle} />
      <Problem error={error ?? statsError ?? webhooksError} />
      {types?.data.length !== 0 && <Filter filter={filter} />}
      {types?.data.length === 0 ? (
        <EmptyState title="No event types yet">
          <p>
            Define your own types with the API, on the command line, or in a file. They are then listed here.
          </p>
        </EmptyState>
      ) : rows?.length === 0 ? (
        <p className="muted">
          No event type matches “{filter}”. <Link to="/event-types">Show all</Link>
        </p>
      ) : (
        (types !== undefined || !error) && (
          <Table
            caption="Event types"
            className="type-table"
            columns={columns}
            rows={rows}
            keyOf={({ type }) => type.event}
            skeletonRows={7}
          />
        )
      )}
    </>
  );
}

function matches({ event, description }: EventTypeInfo, filter: string): boolean {
  const text = `${event} ${description}`.toLowerCase();
  return filter
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

function Filter({ filter }: { filter: string }) {
  const navigate = useNavigate();
  return (
    <search className="filter-text">
      <InputField
        label="Filter by name or description"
        type="search"
        value={filter}
        onChange={(text) =>
          void navigate({ to: '/event-types', search: text === '' ? {} : { filter: text }, replace: true })
        }
      />
    </search>
  );
}

const columns: Column<Row>[] = [
  {
    name: 'Type',
    isRowHeader: true,
    cell: ({ type: { event, description, deprecated } }) => (
      <>
        <Link to="/event-types/$name" params={{ name: event }}>
          <code>{event}</code>
        </Link>{' '}
        {deprecated && <Badge tone="idle">deprecated</Badge>}
        <div className="muted small">{description}</div>
      </>
    ),
  },
  {
    name: 'Subscribers',
    className: 'numeric',
    cell: ({ subscribers }) => (subscribers === undefined ? '\u00a0' : formatCount(subscribers)),
  },
  { name: 'Deliveries, 24 h', className: 'numeric', cell: ({ stats }) => <Deliveries stats={stats} /> },
  { name: 'Failure rate, 24 h', className: 'numeric', cell: ({ stats }) => <FailureRate stats={stats} /> },
  { name: 'Source', isWideOnly: true, cell: ({ type: { source } }) => sourceNames[source] },
];

function Deliveries({ stats }: Pick<Row, 'stats'>) {
  if (stats === undefined) return '\u00a0';
  return stats === 'none' ? '0' : formatCount(stats.delivered + stats.failed);
}

/** Of the deliveries that ended. */
function FailureRate({ stats }: Pick<Row, 'stats'>) {
  if (stats === undefined) return '\u00a0';
  const rate = stats === 'none' ? null : stats.failure_rate;
  return <span className={toneOfShare(rate)}>{formatShare(rate)}</span>;
}
