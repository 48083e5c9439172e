import { useState } from 'react';
import type { Webhook } from '../../../contracts/webhook.ts';
import { api } from '../../session-api.ts';
import { Choices } from '../../components/choices.tsx';
import { CodeBlock } from '../../components/code-block.tsx';
import { Modal } from '../../components/dialog.tsx';
import { Problem } from '../../components/problem-notice.tsx';
import { useScopeReason } from '../../components/scope.tsx';
import { At } from '../../components/time.tsx';
import { useWebhookChanged } from '../../use-webhook-changed.ts';
import { useSubmission } from '../../submission.ts';

const overlaps = [
  { value: 604_800, label: '7 days' },
  { value: 86_400, label: '1 day' },
  { value: 3600, label: '1 hour' },
  { value: 0, label: 'None: the previous secret ends at once, for one that leaked' },
];

/** A new secret, shown once, and for how long the previous one stays good. */
export function RotateDialog({ webhook }: { webhook: Webhook }) {
  const { webhook_id: id, previous_secret_until: until } = webhook;
  const reason = useScopeReason('webhooks:write');
  const changed = useWebhookChanged();
  const [isOpen, setOpen] = useState(false);
  const [seconds, setSeconds] = useState(86_400);
  const [endsOverlap, setEndsOverlap] = useState(false);
  const rotation = useSubmission({
    mutationFn: () =>
      api.rotateWebhookSecret(id, { overlap_seconds: seconds, end_overlap: until !== null && endsOverlap }),
    onSuccess: () => changed('The secret was rotated'),
    gcTime: 0,
  });
  const turn = (open: boolean) => {
    rotation.reset();
    setEndsOverlap(false);
    setOpen(open);
  };
  return (
    <Modal
      title={rotation.data ? 'The new secret' : 'Rotate the secret'}
      trigger="Rotate"
      disabledReason={reason}
      isOpen={isOpen}
      onOpenChange={turn}
    >
      {rotation.data ? (
        <>
          <p>Give it to your receiver. It is shown here once; later only by “Reveal”, which is recorded.</p>
          <CodeBlock label="New secret" text={rotation.data.secret} />
          <div className="dialog-actions">
            <button type="button" className="button button-primary" onClick={() => turn(false)}>
              I have kept it
            </button>
          </div>
        </>
      ) : (
        <>
          <Choices
            legend="Overlap: how long the previous secret stays good"
            name="overlap"
            choices={overlaps}
            chosen={seconds}
            onChoose={setSeconds}
          />
          {until && (
            <div className="notice notice-warn stack-small">
              <p>
                After the last rotation, the previous secret was to stay good until <At at={until} />. A
                receiver that still checks with it will refuse what comes once it ends.
              </p>
              <label className="choice">
                <input
                  type="checkbox"
                  checked={endsOverlap}
                  onChange={({ target }) => setEndsOverlap(target.checked)}
                />
                <span className="choice-text">End the previous secret now, and rotate again</span>
              </label>
            </div>
          )}
          <Problem error={rotation.error} />
          <div className="dialog-actions">
            <button
              type="button"
              className="button button-primary"
              disabled={rotation.isPending || (until !== null && !endsOverlap)}
              onClick={() => rotation.mutate()}
            >
              Rotate the secret
            </button>
          </div>
        </>
      )}
    </Modal>
  );
}
