import type { Webhook } from '../../../../contracts/webhook.ts';
import { Button } from '../../../components/button.tsx';
import { CodeBlock } from '../../../components/code-block.tsx';
import { Problem } from '../../../components/problem-notice.tsx';
import { Snippets } from '../../../components/snippets.tsx';
import { api } from '../../../session-api.ts';
import { useSubmission } from '../../../submission.ts';
import { useUnreadSecret } from '../../../unread-secret.ts';
import { hiddenSecret, receiverSnippets } from './snippets.ts';

/** How to receive events at the webhook's URL: an example program, with the secret. */
export function ReceiverStep({ webhook: { webhook_id: id, url } }: { webhook: Webhook }) {
  const { secret: created } = useUnreadSecret(id);
  const reveal = useSubmission({ mutationFn: () => api.getWebhookSecret(id), gcTime: 0 });
  const secret = created ?? reveal.data?.secret;
  const snippets = receiverSnippets(url, secret ?? hiddenSecret);
  return (
    <>
      <p className="muted">
        {snippets === null ? (
          <>
            Your endpoint must respond to <code className="break">{url}</code> with a status from 200 to 299
            within 5 seconds. Verify the signature with the signing secret.
          </>
        ) : (
          <>
            Run one of the examples in the folder of the project. It verifies the signature with the signing
            secret.
          </>
        )}
      </p>
      {snippets === null ? (
        <CodeBlock label="Signing secret" text={secret ?? hiddenSecret} />
      ) : (
        <Snippets label="Run a receiver" snippets={snippets} />
      )}
      {secret === undefined && (
        <div className="row">
          <Button disabled={reveal.isPending} onClick={() => reveal.mutate()}>
            Reveal secret
          </Button>
          <span className="hint">Revealing it is recorded in the audit log.</span>
        </div>
      )}
      <Problem error={reveal.error} />
    </>
  );
}
