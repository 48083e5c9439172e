import { useState } from 'react';
import { api } from '../../session-api.ts';
import { CodeBlock } from '../../components/code-block.tsx';
import { Modal } from '../../components/dialog.tsx';
import { Problem } from '../../components/problem-notice.tsx';
import { useScopeReason } from '../../components/scope.tsx';
import { useSubmission } from '../../submission.ts';

/** Shows the secret; it is dropped from memory when the dialog closes. */
export function RevealDialog({ webhookId }: { webhookId: string }) {
  const reason = useScopeReason('webhooks:write');
  const [isOpen, setOpen] = useState(false);
  const reading = useSubmission({ mutationFn: () => api.getWebhookSecret(webhookId), gcTime: 0 });
  const toggle = (open: boolean) => {
    reading.reset();
    setOpen(open);
  };
  const { data } = reading;
  return (
    <Modal
      title="Reveal the secret"
      trigger="Reveal secret"
      disabledReason={reason}
      isOpen={isOpen}
      onOpenChange={toggle}
    >
      <p>
        Anyone who has the secret can forge requests to your receiver. Revealing it is recorded in the audit
        log.
      </p>
      <Problem error={reading.error} />
      {data ? (
        <>
          <CodeBlock label="Secret" text={data.secret} />
          {data.previous_secret !== null && (
            <CodeBlock label="Previous secret, valid during the overlap" text={data.previous_secret} />
          )}
        </>
      ) : (
        <div className="dialog-actions">
          <button
            type="button"
            className="button button-primary"
            disabled={reading.isPending}
            onClick={() => reading.mutate()}
          >
            Reveal
          </button>
        </div>
      )}
    </Modal>
  );
}
