import { Link } from '@tanstack/react-router';
import type { Operation } from '../../contracts/operation.ts';
import { Badge } from '../components/badges.tsx';
import { Switch } from '../components/field.tsx';
import { LiveRows } from '../components/live-rows.tsx';
import { OperationScope } from '../components/operation-scope.tsx';
import { PageHeader } from '../components/page-header.tsx';
import { RequesterName } from '../components/requester.tsx';
import { EmptyState } from '../components/section.tsx';
import type { Column } from '../components/table.tsx';
import { Ago } from '../components/time.tsx';
import { formatCount } from '../format.ts';
import { useLiveList } from '../live-list.ts';
import { actionNames, toneOfOperation } from '../operation-text.ts';
import { api } from '../session-api.ts';

export function OperationsPage() {
  const list = useLiveList({
    queryKey: ['operations', 'list'],
    list: (page) => api.listOperations(page),
    orderOf: ({ created_at: createdAt, id }) => `${createdAt} ${id}`,
  });
  return (
    <>
      <PageHeader
        title="Operations"
        subtitle="Actions on many deliveries at once: retries, cancels, reschedules, resends and recoveries."
        actions={<Switch label="Live" isOn={list.isLive} onChange={list.setLive} />}
      />
      <LiveRows
        list={list}
        caption="Operations, newest first"
        className="operation-table"
        columns={columns}
        empty={
          <EmptyState title="No operations yet">
            <p>
              Select deliveries in the log to retry, cancel or resend them together, or recover the failed
              deliveries of a webhook on its page.
            </p>
            <Link to="/log" className="button button-primary">
              Open the delivery log
            </Link>
          </EmptyState>
        }
      />
    </>
  );
}

const columns: Column<Operation>[] = [
  {
    name: 'Status',
    cell: ({ status, created_at: createdAt }) => (
      <>
        <Badge tone={toneOfOperation[status]}>{status}</Badge>
        <span className="narrow-line muted small">
          <Ago at={createdAt} />
        </span>
      </>
    ),
  },
  {
    name: 'Operation',
    isRowHeader: true,
    cell: (operation) => (
      <>
        <Link to="/operations/$id" params={{ id: operation.id }} className="row-link">
          {actionNames[operation.action]}
        </Link>
        <div className="muted small">
          <OperationScope operation={operation} />
        </div>
      </>
    ),
  },
  {
    name: 'Progress',
    className: 'numeric',
    cell: ({ done, failed, total }) =>
      `${formatCount(done + failed)} of ${formatCount(total)}${failed > 0 ? `, ${formatCount(failed)} failed` : ''}`,
  },
  { name: 'Requested by', cell: ({ requested_by: by }) => <RequesterName id={by} /> },
  { name: 'Started', className: 'numeric', cell: ({ created_at: at }) => <Ago at={at} /> },
];
