import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import type { Operation } from '../../contracts/operation.ts';
import { CopyButton } from '../components/button.tsx';
import { OperationActions, OperationProgress } from '../components/operation-progress.tsx';
import { OperationScope } from '../components/operation-scope.tsx';
import { isMissing, NotFound } from '../components/page-error.tsx';
import { Page, PageHeader, Placeholder } from '../components/page-header.tsx';
import { Problem } from '../components/problem-notice.tsx';
import { RequesterName } from '../components/requester.tsx';
import { Facts, Section } from '../components/section.tsx';
import { At } from '../components/time.tsx';
import { WebhookLink } from '../components/webhook-name.tsx';
import { formatCount } from '../format.ts';
import { actionNames } from '../operation-text.ts';
import { operationQuery } from '../queries.ts';

const route = getRouteApi('/signed-in/operations/$id');

export function OperationPage() {
  const { id } = route.useParams();
  const { data: operation, error } = useQuery(operationQuery(id));
  const eyebrow = <Link to="/operations">Operations</Link>;
  if (operation && !isMissing(error))
    return (
      <Page
        eyebrow={eyebrow}
        title={actionNames[operation.action]}
        subtitle={
          <div className="row">
            <code>{id}</code>
            <CopyButton text={id} label="Copy id" />
          </div>
        }
        actions={<OperationActions operation={operation} />}
      >
        <Problem error={error} />
        <Section title="Progress">
          <OperationProgress operation={operation} />
        </Section>
        <Details operation={operation} />
      </Page>
    );
  return (
    <>
      <PageHeader eyebrow={eyebrow} title="Operation" subtitle={<code>{id}</code>} />
      {isMissing(error) ? (
        <NotFound what="Operation" to="/operations" label="All operations" />
      ) : (
        <Problem error={error} />
      )}
      {!error && <Placeholder />}
    </>
  );
}

function Details({ operation }: { operation: Operation }) {
  const { action, filter, per_second: perSecond, next_attempt_at: next, workflow } = operation;
  const { requested_by: by, created_at: createdAt, ended_at: endedAt } = operation;
  return (
    <Section title="Details">
      <Facts
        facts={{
          Deliveries: <OperationScope operation={operation} />,
          Webhook: filter.webhook_id !== undefined && <WebhookLink webhookId={filter.webhook_id} />,
          'Next attempt': next && <At at={next} />,
          Speed: action === 'recover' ? null : `at most ${formatCount(perSecond)} per second`,
          'Requested by': <RequesterName id={by} />,
          Started: <At at={createdAt} />,
          Ended: endedAt && <At at={endedAt} />,
          Workflow: workflow.url && (
            <a href={workflow.url} target="_blank" rel="noreferrer">
              Open in the Temporal Web UI<span className="visually-hidden"> (new tab)</span>
            </a>
          ),
        }}
      />
    </Section>
  );
}
