import { useState } from 'react';
import { api } from '../../session-api.ts';
import { CodeBlock } from '../../components/code-block.tsx';
import { Modal } from '../../components/dialog.tsx';
import { Problem } from '../../components/problem-notice.tsx';
import { useScopeReason } from '../../components/scope.tsx';
import { useSubmission } from '../../submission.ts';

/** The secret, kept in this page for as long as the dialog is open. */
export function RevealDialog({ webhookId }: { webhookId: string }) {
  const reason = useScopeReason('webhooks:write');
  const [isOpen, setOpen] = useState(false);
  const reading = useSubmission({ mutationFn: () => api.getWebhookSecret(webhookId), gcTime: 0 });
  const turn = (open: boolean) => {
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
      onOpenChange={turn}
    >
      <p>
        Whoever has it can forge requests to your receiver. That your key read it, and when, is kept in the
        audit log.
      </p>
      <Problem error={reading.error} />
      {data ? (
        <>
          <CodeBlock label="Secret" text={data.secret} />
          {data.previous_secret !== null && (
            <CodeBlock label="Previous secret, while the overlap runs" text={data.previous_secret} />
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
