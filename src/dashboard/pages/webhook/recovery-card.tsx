import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import type { Recovery, RecoveryStatus } from '../../../contracts/recovery.ts';
import type { Webhook } from '../../../contracts/webhook.ts';
import { Badge } from '../../components/badges.tsx';
import { Button } from '../../components/button.tsx';
import { Problem } from '../../components/problem-notice.tsx';
import { useScopeReason } from '../../components/scope.tsx';
import { Section } from '../../components/section.tsx';
import { At } from '../../components/time.tsx';
import { formatCount } from '../../format.ts';
import { liveMs } from '../../queries.ts';
import { api } from '../../session-api.ts';
import { useSubmission } from '../../submission.ts';
import { RecoverForm } from './recover-form.tsx';

const route = getRouteApi('/signed-in/webhooks/$id');

/** Resends failed or missed deliveries: first a preview, then the progress of the recovery. */
export function RecoveryCard({ webhook }: { webhook: Webhook }) {
  const { recovery } = route.useSearch();
  const navigate = route.useNavigate();
  const show = (id: string | undefined) =>
    void navigate({ search: id === undefined ? {} : { recovery: id }, replace: true, resetScroll: false });
  return (
    <Section title="Recover" className="card stack-small">
      {recovery === undefined ? (
        <RecoverForm webhook={webhook} onStarted={({ id }) => show(id)} />
      ) : (
        <RecoveryProgress id={recovery} onLeave={() => show(undefined)} />
      )}
    </Section>
  );
}

const tones = { running: 'busy', paused: 'warn', completed: 'good', canceled: 'idle' } as const;
const refreshMs = liveMs / 2;

/** The progress of a recovery, with actions to pause, resume and cancel it. */
function RecoveryProgress({ id, onLeave }: { id: string; onLeave: () => void }) {
  const { data: recovery, error } = useQuery({
    queryKey: ['recoveries', id],
    queryFn: () => api.getRecovery(id),
    refetchInterval: ({ state: { data } }) => (data?.ended_at && !data.outcome?.waiting ? false : refreshMs),
  });
  return (
    <>
      <Problem error={error} />
      {recovery && <Progress recovery={recovery} />}
      <div className="row">
        {recovery && recovery.ended_at === null ? (
          <RecoveryActions recovery={recovery} />
        ) : (
          <Button onClick={onLeave}>Recover something else</Button>
        )}
      </div>
    </>
  );
}

function Progress({ recovery }: { recovery: Recovery }) {
  const { status, total, done, failed, since, until, outcome, webhook_id: webhookId } = recovery;
  return (
    <>
      <p className="row">
        <Badge tone={tones[status]}>{status}</Badge>
        <span className="small muted">
          <At at={since} /> to <At at={until} />
        </span>
      </p>
      <label className="field">
        <span className="numeric">
          {formatCount(done)} of {formatCount(total)} resent
          {failed > 0 && `, ${formatCount(failed)} could not be resent`}
        </span>
        <progress className="recovery-bar" max={Math.max(1, total)} value={done + failed} />
      </label>
      {outcome && <Outcome recovery={recovery} outcome={outcome} />}
      <p>
        <Link to="/log" search={{ webhook_id: webhookId, since }}>
          View deliveries in the log
        </Link>
      </p>
    </>
  );
}

type OutcomeProps = { recovery: Recovery; outcome: NonNullable<Recovery['outcome']> };

/** How the resent deliveries ended, and how many are still waiting. */
function Outcome({ recovery: { webhook_id: webhookId, since }, outcome }: OutcomeProps) {
  const { delivered, failed, canceled, waiting } = outcome;
  return (
    <p className="row numeric">
      <Badge tone={delivered > 0 ? 'good' : 'idle'}>{`${formatCount(delivered)} delivered`}</Badge>
      {failed > 0 && (
        <Link to="/log" search={{ webhook_id: webhookId, since, status: 'failed' }}>
          {formatCount(failed)} failed
        </Link>
      )}
      {waiting > 0 && <Badge tone="busy">{`${formatCount(waiting)} waiting`}</Badge>}
      {canceled > 0 && <Badge tone="idle">{`${formatCount(canceled)} canceled`}</Badge>}
    </p>
  );
}

const actionsOf: Record<RecoveryStatus, readonly ('pause' | 'resume' | 'cancel')[]> = {
  running: ['pause', 'cancel'],
  paused: ['resume', 'cancel'],
  completed: [],
  canceled: [],
};
const actions = {
  pause: { label: 'Pause', run: (id: string) => api.pauseRecovery(id) },
  resume: { label: 'Resume', run: (id: string) => api.resumeRecovery(id) },
  cancel: { label: 'Cancel the rest', run: (id: string) => api.cancelRecovery(id) },
};

function RecoveryActions({ recovery: { id, status } }: { recovery: Recovery }) {
  const reason = useScopeReason('webhooks:write');
  const submission = useSubmission({
    mutationFn: (action: keyof typeof actions) => actions[action].run(id),
    changes: ['recoveries'],
  });
  return (
    <>
      {actionsOf[status].map((action) => (
        <Button
          key={action}
          disabled={submission.isPending}
          disabledReason={reason}
          onClick={() => submission.mutate(action)}
        >
          {actions[action].label}
        </Button>
      ))}
      <Problem error={submission.error} />
    </>
  );
}
