import { useQuery, useQueryClient } from '@tanstack/react-query';
import type { Recovery, RecoveryStatus } from '../../../contracts/recovery.ts';
import { api } from '../../api.ts';
import { Problem } from '../../components/problem.tsx';
import { useScopeReason } from '../../components/scope.tsx';
import { Badge } from '../../components/status.tsx';
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
    state.data?.ended_at ? (false as const) : refreshMs,
});

/** How far a recovery is, live; to pause, go on with and cancel it. */
export function RecoveryProgress({ id, onLeave }: { id: string; onLeave: () => void }) {
  const { data: recovery, error } = useQuery(recoveryQuery(id));
  return (
    <>
      <Problem error={error} />
      {recovery && <Progress recovery={recovery} />}
      <div className="row">
        {recovery && recovery.ended_at === null ? (
          <Steer recovery={recovery} />
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
  const { status, total, done, failed, since, until } = recovery;
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
          {formatCount(done)} of {formatCount(total)} sent again
          {failed > 0 && `, ${formatCount(failed)} could not be sent`}
        </span>
        <progress className="recovery-bar" max={Math.max(1, total)} value={done + failed} />
      </label>
      <p className="hint">The deliveries themselves tell what came of it.</p>
    </>
  );
}

const deeds: Record<RecoveryStatus, readonly ('pause' | 'resume' | 'cancel')[]> = {
  running: ['pause', 'cancel'],
  paused: ['resume', 'cancel'],
  completed: [],
  canceled: [],
};
const calls = {
  pause: { label: 'Pause', run: (id: string) => api.pauseRecovery(id) },
  resume: { label: 'Go on', run: (id: string) => api.resumeRecovery(id) },
  cancel: { label: 'Cancel the rest', run: (id: string) => api.cancelRecovery(id) },
};

function Steer({ recovery: { id, status } }: { recovery: Recovery }) {
  const reason = useScopeReason('webhooks:write');
  const queryClient = useQueryClient();
  const steer = useSubmission({
    mutationFn: (deed: keyof typeof calls) => calls[deed].run(id),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: recoveryQuery(id).queryKey }),
  });
  return (
    <>
      {deeds[status].map((deed) => (
        <button
          key={deed}
          type="button"
          className="button"
          disabled={steer.isPending || reason !== undefined}
          title={reason}
          onClick={() => steer.mutate(deed)}
        >
          {calls[deed].label}
        </button>
      ))}
      <Problem error={steer.error} />
    </>
  );
}
