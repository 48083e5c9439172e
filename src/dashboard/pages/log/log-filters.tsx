import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { Field } from '../../components/field.tsx';
import { briefUrl } from '../../components/webhook-name.tsx';
import { deliveryStatuses } from '../../../contracts/delivery.ts';
import { logEventTypes, type LogSearch } from '../../log-search.ts';
import { webhooksQuery } from '../../queries.ts';
import { CodeFilter } from './code-filter.tsx';
import { TimeFilter } from './time-filter.tsx';

/** The filters are in the URL, so that a filtered log can be bookmarked and shared. */
export function LogFilters({ search }: { search: LogSearch }) {
  const navigate = useNavigate();
  const { data: webhooks = [] } = useQuery(webhooksQuery);
  const change = (patch: { [Name in keyof LogSearch]?: LogSearch[Name] }) =>
    void navigate({ to: '/log', search: { ...search, ...patch }, resetScroll: false });
  const { webhook_id: webhookId } = search;
  const isFiltered = Object.values(search).some((value) => value !== undefined);
  const isUnknown = webhookId !== undefined && !webhooks.some((each) => each.webhook_id === webhookId);
  return (
    <search>
      <form aria-label="Log filters" className="filters" onSubmit={(e) => e.preventDefault()}>
        <Field label="Webhook">
          {(control) => (
            <select
              {...control}
              value={webhookId ?? ''}
              onChange={({ target }) => change({ webhook_id: target.value || undefined })}
            >
              <option value="">All</option>
              {isUnknown && <option value={webhookId}>{webhookId}</option>}
              {webhooks.map(({ webhook_id: id, url }) => (
                <option key={id} value={id}>
                  {briefUrl(url)}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Event type">
          {(control) => (
            <select
              {...control}
              value={search.event ?? ''}
              onChange={({ target }) =>
                change({ event: logEventTypes.find((type) => type === target.value) })
              }
            >
              <Options values={logEventTypes} />
            </select>
          )}
        </Field>
        <Field label="Status">
          {(control) => (
            <select
              {...control}
              value={search.status ?? ''}
              onChange={({ target }) =>
                change({ status: deliveryStatuses.find((status) => status === target.value) })
              }
            >
              <Options values={deliveryStatuses} />
            </select>
          )}
        </Field>
        <CodeFilter code={search.code} onChange={(code) => change({ code })} />
        <TimeFilter search={search} onChange={change} />
        {isFiltered && (
          <Link to="/log" search={{}} className="button filters-clear">
            Clear
          </Link>
        )}
      </form>
    </search>
  );
}

function Options({ values }: { values: readonly string[] }) {
  return (
    <>
      <option value="">All</option>
      {values.map((value) => (
        <option key={value}>{value}</option>
      ))}
    </>
  );
}
