import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import type { AuditRecord } from '../../contracts/audit.ts';
import { toAuditQuery, type AuditSearch } from '../audit-search.ts';
import { auditFilters, sentenceOf } from '../audit-text.ts';
import { Button } from '../components/button.tsx';
import { Form, SelectField } from '../components/field.tsx';
import { LiveRows } from '../components/live-rows.tsx';
import { PageHeader } from '../components/page-header.tsx';
import { Problem } from '../components/problem-notice.tsx';
import { EmptyState } from '../components/section.tsx';
import type { Column } from '../components/table.tsx';
import { At } from '../components/time.tsx';
import { briefUrl } from '../components/webhook-name.tsx';
import { saveLines } from '../save-lines.ts';
import { useLiveList } from '../live-list.ts';
import { periodNames } from '../times.ts';
import { keysQuery, webhooksQuery } from '../queries.ts';
import { api } from '../session-api.ts';
import { useSubmission } from '../submission.ts';

const route = getRouteApi('/signed-in/audit');

export function AuditPage() {
  const search = route.useSearch();
  const records = useLiveList({
    queryKey: ['audit', search],
    list: (page) => api.listAuditRecords({ ...toAuditQuery(search), ...page }),
    orderOf: ({ id }) => id,
  });
  const isFiltered = Object.values(search).some((value) => value !== undefined);
  return (
    <>
      <PageHeader
        title="Audit log"
        subtitle="Who changed webhooks and keys, revealed a secret, or acted on many deliveries."
        actions={<ExportButton search={search} />}
      />
      <Filters search={search} />
      <LiveRows
        list={records}
        caption="Audit records, newest first"
        className="audit-table"
        columns={columns}
        empty={
          <EmptyState title={isFiltered ? 'No records match these filters' : 'No records yet'}>
            {isFiltered ? (
              <Link to="/audit" search={{}} className="button">
                Clear filters
              </Link>
            ) : (
              <p>Create or change a webhook or a key, and the change is recorded here.</p>
            )}
          </EmptyState>
        }
      />
    </>
  );
}

const columns: Column<AuditRecord>[] = [
  {
    name: 'Change',
    isRowHeader: true,
    cell: (record) => (
      <div className="audit-text">
        <Sentence record={record} />
        <span className="narrow-line muted small">
          <At at={record.created_at} />
        </span>
      </div>
    ),
  },
  { name: 'Time', className: 'numeric', cell: ({ created_at: at }) => <At at={at} /> },
];

function Sentence({ record }: { record: AuditRecord }) {
  const { actor, verb, kind, end } = sentenceOf(record);
  return (
    <>
      {actor} {verb} <Target kind={kind} target={record.target} />
      {end}
    </>
  );
}

type TargetProps = Pick<AuditRecord, 'target'> & Pick<ReturnType<typeof sentenceOf>, 'kind'>;

function Target({ kind, target: { id, name } }: TargetProps) {
  switch (kind) {
    case 'webhook':
      return (
        <Link to="/webhooks/$id" params={{ id }} title={name ?? id}>
          {name === null ? id : briefUrl(name)}
        </Link>
      );
    case 'event':
      return (
        <Link to="/events/$id" params={{ id }}>
          {id}
        </Link>
      );
    case 'operation':
      return (
        <Link to="/operations/$id" params={{ id }}>
          {id}
        </Link>
      );
    case 'key':
      return <Link to="/keys">{name === null ? id : `“${name}”`}</Link>;
    case 'other':
      return <code>{id}</code>;
  }
}

const all = ['', 'All'] as const;
const periods = [['', 'Any time'], ...Object.entries(periodNames)] as const;

/** The filters are in the URL. */
function Filters({ search }: { search: AuditSearch }) {
  const navigate = useNavigate();
  const { data: webhooks = [] } = useQuery(webhooksQuery);
  const { data: keys = [] } = useQuery(keysQuery);
  const change = (patch: Partial<AuditSearch>) =>
    void navigate({ to: '/audit', search: { ...search, ...patch }, resetScroll: false });
  const { action = '', actor = '', target = '', last = '' } = search;
  return (
    <search>
      <Form aria-label="Audit log filters" className="filters">
        <SelectField
          label="Change"
          value={action}
          options={withValue(auditFilters, action)}
          onChange={(chosen) => change({ action: chosen || undefined })}
        />
        <SelectField
          label="Key"
          value={actor}
          options={withValue([all, ...keys.map(({ id, name }) => [id, name] as const)], actor)}
          onChange={(chosen) => change({ actor: chosen || undefined })}
        />
        <SelectField
          label="Webhook"
          value={target}
          options={withValue(
            [all, ...webhooks.map(({ webhook_id: id, url }) => [id, briefUrl(url)] as const)],
            target,
          )}
          onChange={(chosen) => change({ target: chosen || undefined })}
        />
        <SelectField
          label="Time"
          value={last}
          options={periods}
          onChange={(chosen) => change({ last: (chosen || undefined) as AuditSearch['last'] })}
        />
      </Form>
    </search>
  );
}

type Option = readonly [value: string, label: string];

/** The address may name an object that the list does not have, such as a deleted webhook. */
const withValue = (options: readonly Option[], value: string): readonly Option[] =>
  options.some(([each]) => each === value) ? options : [...options, [value, value]];

function ExportButton({ search }: { search: AuditSearch }) {
  const submission = useSubmission({
    mutationFn: () => saveLines('audit-log.ndjson', api.exportAuditRecords(toAuditQuery(search))),
  });
  return (
    <>
      <Button disabled={submission.isPending} onClick={() => submission.mutate()}>
        Export NDJSON
      </Button>
      <Problem error={submission.error} />
    </>
  );
}
