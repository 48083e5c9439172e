import { Link } from '@tanstack/react-router';
import type { Operation, OperationStatus } from '../../contracts/operation.ts';
import { formatCount } from '../format.ts';
import { actionNames, doneWords, failureTexts, toneOfOperation } from '../operation-text.ts';
import { api } from '../session-api.ts';
import { useSubmission } from '../submission.ts';
import { Badge } from './badges.tsx';
import { Button } from './button.tsx';
import { Problem } from './problem-notice.tsx';
import { useScopeReason } from './scope.tsx';

/** How far an operation is, why some deliveries failed, and how the others ended, with links to the log. */
export function OperationProgress({ operation }: { operation: Operation }) {
  const { id, action, status, total, done, failed, failures, outcome } = operation;
  return (
    <div className="stack-small">
      <p className="row">
        <Badge tone={toneOfOperation[status]}>{status}</Badge>
        <span className="numeric">
          {formatCount(done)} of {formatCount(total)} {doneWords[action]}
          {failed > 0 && `, ${formatCount(failed)} could not be ${doneWords[action]}`}
        </span>
      </p>
      <progress
        className="recovery-bar"
        aria-label={`${actionNames[action]} ${id}`}
        max={Math.max(1, total)}
        value={Math.min(done + failed, Math.max(1, total))}
      />
      {failures.length > 0 && (
        <ul className="plain-list">
          {failures.map(({ reason, count }) => (
            <li key={reason}>
              {formatCount(count)} {failureTexts[reason]}
            </li>
          ))}
        </ul>
      )}
      {outcome && <Outcome id={id} outcome={outcome} />}
      <p>
        <Link to="/log" search={{ operation_id: id }}>
          View deliveries
        </Link>
      </p>
    </div>
  );
}

type OutcomeProps = { id: string; outcome: NonNullable<Operation['outcome']> };

/** How the deliveries ended, and how many have not ended yet. */
function Outcome({ id, outcome: { delivered, failed, canceled, waiting } }: OutcomeProps) {
  const counts = [
    ['delivered', delivered],
    ['failed', failed],
    ['canceled', canceled],
  ] as const;
  return (
    <p className="row numeric">
      {counts.map(
        ([status, count]) =>
          count > 0 && (
            <Link key={status} to="/log" search={{ operation_id: id, status }}>
              {formatCount(count)} {status}
            </Link>
          ),
      )}
      {waiting > 0 && <span className="muted">{formatCount(waiting)} waiting</span>}
      {delivered + failed + canceled + waiting === 0 && (
        <span className="muted">
          No delivery was changed by it, or a later operation acted on all of them.
        </span>
      )}
    </p>
  );
}

const actionsOf: Record<OperationStatus, readonly ('pause' | 'resume' | 'cancel')[]> = {
  running: ['pause', 'cancel'],
  paused: ['resume', 'cancel'],
  completed: [],
  canceled: [],
};
const actions = {
  pause: { label: 'Pause', run: (id: string) => api.pauseOperation(id) },
  resume: { label: 'Resume', run: (id: string) => api.resumeOperation(id) },
  cancel: { label: 'Cancel the rest', run: (id: string) => api.cancelOperation(id) },
};

export function OperationActions({ operation: { id, status } }: { operation: Operation }) {
  const reason = useScopeReason('webhooks:write');
  const submission = useSubmission({
    mutationFn: (action: keyof typeof actions) => actions[action].run(id),
    changes: ['operations'],
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
