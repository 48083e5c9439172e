import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { Recovery, RecoveryStatus } from '../../../contracts/recovery.ts';
import { api } from '../../session-api.ts';
import { Problem } from '../../components/problem-notice.tsx';
import { useScopeReason } from '../../components/scope.tsx';
import { Badge } from '../../components/badges.tsx';
import { At } from '../../components/time.tsx';
import { formatCount } from '../../format.ts';
import { liveMs } from '../../queries.ts';
import { useSubmission } from '../../submission.ts';

const tones = { running: 'busy', paused: 'warn', completed: 'good', canceled: 'idle' } as const;
const refreshMs = liveMs / 2;

const recoveryQuery = (id: string) => ({
  queryKey: ['recoveries', id],
  queryFn: () => api.getRecovery(id),
  refetchInterval: ({ state }: { state: { data: Recovery | undefined } }) =>
    state.data?.ended_at && !state.data.outcome?.waiting ? (false as const) : refreshMs,
});

/** The progress of a recovery, with actions to pause, resume and cancel it. */
export function RecoveryProgress({ id, onLeave }: { id: string; onLeave: () => void }) {
  const { data: recovery, error } = useQuery(recoveryQuery(id));
  return (
    <>
      <Problem error={error} />
      {recovery && <Progress recovery={recovery} />}
      <div className="row">
        {recovery && recovery.ended_at === null ? (
          <RecoveryActions recovery={recovery} />
        ) : (
          <button type="button" className="button" onClick={onLeave}>
            Recover something else
          </button>
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
  const queryClient = useQueryClient();
  const submission = useSubmission({
    mutationFn: (action: keyof typeof actions) => actions[action].run(id),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: recoveryQuery(id).queryKey }),
  });
  return (
    <>
      {actionsOf[status].map((action) => (
        <button
          key={action}
          type="button"
          className="button"
          disabled={submission.isPending || reason !== undefined}
          title={reason}
          onClick={() => submission.mutate(action)}
        >
          {actions[action].label}
        </button>
      ))}
      <Problem error={submission.error} />
    </>
  );
}
