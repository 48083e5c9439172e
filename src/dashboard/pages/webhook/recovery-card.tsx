import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import type { Webhook } from '../../../contracts/webhook.ts';
import { Button } from '../../components/button.tsx';
import { OperationActions, OperationProgress } from '../../components/operation-progress.tsx';
import { Problem } from '../../components/problem-notice.tsx';
import { Section } from '../../components/section.tsx';
import { Ago, At } from '../../components/time.tsx';
import { formatCount } from '../../format.ts';
import { actionNames } from '../../operation-text.ts';
import { operationQuery, webhookOperationsQuery } from '../../queries.ts';
import { RecoverForm } from './recover-form.tsx';

const route = getRouteApi('/signed-in/webhooks/$id');

/** Resends failed or missed deliveries: first a preview, then the progress of the recovery. */
export function RecoveryCard({ webhook }: { webhook: Webhook }) {
  const { recovery } = route.useSearch();
  const navigate = route.useNavigate();
  const show = (id: string | undefined) =>
    void navigate({
      to: '.',
      search: id === undefined ? {} : { recovery: id },
      replace: true,
      resetScroll: false,
    });
  return (
    <Section title="Recover" className="card stack-small">
      {recovery === undefined ? (
        <RecoverForm webhook={webhook} onStarted={({ id }) => show(id)} />
      ) : (
        <RecoveryProgress id={recovery} onLeave={() => show(undefined)} />
      )}
      <EarlierOperations webhookId={webhook.webhook_id} shownId={recovery} />
    </Section>
  );
}

function RecoveryProgress({ id, onLeave }: { id: string; onLeave: () => void }) {
  const { data: recovery, error } = useQuery(operationQuery(id));
  return (
    <>
      <Problem error={error} />
      {recovery && (
        <>
          <p className="small muted">
            {recovery.filter.since && <At at={recovery.filter.since} />} to{' '}
            {recovery.filter.until && <At at={recovery.filter.until} />}
          </p>
          <OperationProgress operation={recovery} />
        </>
      )}
      <div className="row">
        {recovery && recovery.ended_at === null ? (
          <OperationActions operation={recovery} />
        ) : (
          <Button onClick={onLeave}>Recover something else</Button>
        )}
      </div>
    </>
  );
}

const shownCount = 5;

/** The latest recoveries of this webhook, and the latest actions on its deliveries alone. */
function EarlierOperations({ webhookId, shownId }: { webhookId: string; shownId: string | undefined }) {
  const { data } = useQuery(webhookOperationsQuery(webhookId));
  const earlier = data?.data.filter(({ id }) => id !== shownId).slice(0, shownCount) ?? [];
  if (earlier.length === 0) return null;
  return (
    <>
      <h3>Earlier operations</h3>
      <ul className="plain-list">
        {earlier.map(({ id, action, status, done, total, created_at: createdAt }) => (
          <li key={id}>
            <Link to="/operations/$id" params={{ id }}>
              {actionNames[action]}
            </Link>{' '}
            <span className="muted numeric">
              {status}, {formatCount(done)} of {formatCount(total)}, <Ago at={createdAt} />
            </span>
          </li>
        ))}
      </ul>
    </>
  );
}
