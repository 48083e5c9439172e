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
  { value: 0, label: 'None: the previous secret becomes invalid at once, for a leaked secret' },
];

/** Creates a new secret, which is shown once, and sets how long the previous one stays valid. */
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
  const toggle = (open: boolean) => {
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
      onOpenChange={toggle}
    >
      {rotation.data ? (
        <>
          <p>
            Configure it in your receiver. It is shown once here. You can reveal it later, which is recorded
            in the audit log.
          </p>
          <CodeBlock label="New secret" text={rotation.data.secret} />
          <div className="dialog-actions">
            <button type="button" className="button button-primary" onClick={() => toggle(false)}>
              I have saved it
            </button>
          </div>
        </>
      ) : (
        <>
          <Choices
            legend="Overlap: how long the previous secret stays valid"
            name="overlap"
            choices={overlaps}
            chosen={seconds}
            onChoose={setSeconds}
          />
          {until && (
            <div className="notice notice-warn stack-small">
              <p>
                The previous secret of the last rotation is valid until <At at={until} />. A receiver that
                still uses it will reject requests once it ends.
              </p>
              <label className="choice">
                <input
                  type="checkbox"
                  checked={endsOverlap}
                  onChange={({ target }) => setEndsOverlap(target.checked)}
                />
                <span className="choice-text">End the previous secret now and rotate again</span>
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
