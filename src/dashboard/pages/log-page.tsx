import { getRouteApi, Link, Navigate } from '@tanstack/react-router';
import type { DeliverySummary } from '../../contracts/delivery.ts';
import { DeliveryBadge } from '../components/badges.tsx';
import { CodeBlock } from '../components/code-block.tsx';
import { Switch } from '../components/field.tsx';
import { LiveRows } from '../components/live-rows.tsx';
import { PageHeader } from '../components/page-header.tsx';
import { EmptyState } from '../components/section.tsx';
import type { Column } from '../components/table.tsx';
import { Ago, Countdown } from '../components/time.tsx';
import { WebhookName } from '../components/webhook-name.tsx';
import { durationOf, lastResponse } from '../delivery-text.ts';
import { useLiveList } from '../live-list.ts';
import { isSelected } from '../log/selection.ts';
import { isFiltered, toDeliveryQuery } from '../log-search.ts';
import { isPortal } from '../portal.ts';
import { api } from '../session-api.ts';
import { DeliveryPanel } from './log/delivery-panel.tsx';
import { LogFilters } from './log/log-filters.tsx';
import { LogRowsContext } from './log/log-rows-context.ts';
import { RetryRow, SelectLoaded, SelectRow } from './log/row-controls.tsx';
import { SelectionBar } from './log/selection-bar.tsx';
import { StatusTabs } from './log/status-tabs.tsx';
import { useIsWide, usePanel } from './log/use-panel.ts';
import { useRowRetry } from './log/use-row-retry.ts';
import { useSelection } from './log/use-selection.ts';

const route = getRouteApi('/signed-in/log');

export function LogPage() {
  const { open: openId, ...search } = route.useSearch();
  const isWide = useIsWide();
  const log = useLiveList({
    queryKey: ['deliveries', 'log', search],
    list: (page) => api.listDeliveries({ ...toDeliveryQuery(search), ...page }),
    // The ids sort by time.
    orderOf: ({ id }) => id,
  });
  const rows = log.isStale ? noRows : (log.rows ?? noRows);
  const selected = useSelection(search, rows);
  const { selection, toggle, toggleLoaded } = selected;
  const retry = useRowRetry();
  const chosen = rows.filter(({ id }) => isSelected(selection, id)).length;
  const areAllLoaded = chosen === 0 ? 'none' : chosen === rows.length ? 'all' : 'some';
  const panel = usePanel({ open: openId, search, rows, loadMore: log.loadMore });
  if (openId !== undefined && !isWide) return <Navigate to="/log/$id" params={{ id: openId }} replace />;
  return (
    <div className={openId === undefined ? undefined : 'with-panel'}>
      <PageHeader
        title="Delivery log"
        subtitle="All deliveries: one per event and webhook."
        actions={<Switch label="Live" isOn={log.isLive} onChange={log.setLive} />}
      />
      <StatusTabs search={search} open={openId} />
      <LogFilters search={search} />
      {chosen > 0 && <SelectionBar search={search} rows={rows} hasMore={log.hasMore} selected={selected} />}
      <LogRowsContext value={{ selection, toggle, areAllLoaded, toggleLoaded, ...retry }}>
        <LiveRows
          list={log}
          caption="Deliveries, newest first"
          className="log-table"
          columns={columns}
          currentKey={openId}
          empty={isFiltered(search) ? <NoMatch /> : <NoDeliveries />}
        />
      </LogRowsContext>
      {openId !== undefined && <DeliveryPanel id={openId} {...panel} />}
    </div>
  );
}

const noRows: readonly DeliverySummary[] = [];

const columns: Column<DeliverySummary>[] = [
  { name: 'Select', head: <SelectLoaded />, cell: (delivery) => <SelectRow delivery={delivery} /> },
  {
    name: 'Status',
    cell: ({ status, created_at: createdAt }) => (
      <>
        <DeliveryBadge status={status} />
        <span className="narrow-line muted small">
          <Ago at={createdAt} />
        </span>
      </>
    ),
  },
  {
    name: 'Event',
    isRowHeader: true,
    cell: (delivery) => (
      <>
        <Link to="/log/$id" params={{ id: delivery.id }} className="row-link">
          {delivery.event}
        </Link>
        <span className="narrow-line muted small">
          <WebhookName webhookId={delivery.webhook_id} /> · {lastResponse(delivery)}
        </span>
      </>
    ),
  },
  {
    name: 'Webhook',
    cell: ({ webhook_id: id }) => (
      <span title={id}>
        <WebhookName webhookId={id} />
      </span>
    ),
  },
  { name: 'Attempts', className: 'numeric', cell: ({ attempt_count: count }) => count },
  { name: 'Response', className: 'numeric', cell: lastResponse },
  { name: 'Accepted', className: 'numeric', cell: ({ created_at: at }) => <Ago at={at} /> },
  { name: 'Duration / next', className: 'numeric', cell: durationOrNext },
  { name: 'Retry', isNameHidden: true, cell: (delivery) => <RetryRow delivery={delivery} /> },
];

function durationOrNext(delivery: DeliverySummary): React.ReactNode {
  if (delivery.ended_at !== null) return durationOf(delivery.created_at, delivery.ended_at);
  if (delivery.next_attempt_at !== null) return <Countdown to={delivery.next_attempt_at} />;
  if (delivery.waits_for?.reason === 'down') return 'when up again';
  if (delivery.waits_for?.reason === 'order') return 'in its order';
  return delivery.status === 'held' ? 'when active' : 'now';
}

function NoMatch() {
  return (
    <EmptyState title="No deliveries match these filters">
      <p>Try a wider time range, or another status or code.</p>
      <Link to="/log" search={{}} className="button">
        Clear filters
      </Link>
    </EmptyState>
  );
}

const publishLine = `curl -X POST ${location.origin}/v1/events \\
  -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
  -d '{"event": "document.deleted", "data": {"document_id": "doc_1", "dataset_id": "ds_1"}}'`;

function NoDeliveries() {
  return (
    <EmptyState title="No deliveries yet">
      <p>
        Each published event becomes one delivery per webhook that subscribes to its type. This log shows the
        status of each delivery, and why it failed.
      </p>
      <div className="row">
        <Link to="/events/send" className="button button-primary">
          Send an event
        </Link>
        <Link to="/webhooks/new" className="button">
          Create webhook
        </Link>
      </div>
      {!isPortal && <CodeBlock label="Or with curl, with an API key in $KEY" text={publishLine} />}
    </EmptyState>
  );
}
