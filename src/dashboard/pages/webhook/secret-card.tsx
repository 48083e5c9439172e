import type { Webhook } from '../../../contracts/webhook.ts';
import { api } from '../../session-api.ts';
import { ConfirmButton } from '../../components/confirm-button.tsx';
import { useScopeReason } from '../../components/scope.tsx';
import { Ago, At, Countdown } from '../../components/time.tsx';
import { useWebhookChanged } from '../../use-webhook-changed.ts';
import { RevealDialog } from './reveal-dialog.tsx';
import { RotateDialog } from './rotate-dialog.tsx';

export function SecretCard({ webhook }: { webhook: Webhook }) {
  const { webhook_id: id, secret_created_at: createdAt, previous_secret_until: until } = webhook;
  return (
    <section className="card stack-small" aria-labelledby="secret-title">
      <h2 id="secret-title">Secret</h2>
      <p>
        Created <Ago at={createdAt} />. Rotate it every 90 days, and at once if it leaked.
      </p>
      {until && <Overlap webhookId={id} until={until} />}
      <div className="row">
        <RotateDialog webhook={webhook} />
        <RevealDialog webhookId={id} />
      </div>
    </section>
  );
}

function Overlap({ webhookId, until }: { webhookId: string; until: string }) {
  const reason = useScopeReason('webhooks:write');
  const changed = useWebhookChanged();
  const finish = async () => {
    await api.finishSecretRotation(webhookId);
    await changed('The overlap has ended. Only the new secret is valid now');
  };
  return (
    <div className="notice stack-small">
      <p>
        <strong>Secret overlap.</strong> Until <At at={until} /> (<Countdown to={until} />){' '}
        <code>X-FLTR-Signature</code> uses the previous secret, and <code>webhook-signature</code> contains
        both signatures.
      </p>
      <div>
        <ConfirmButton
          label="End overlap"
          title="End the overlap now?"
          action="End the overlap"
          isDanger
          disabledReason={reason}
          run={finish}
        >
          <p>
            From now on all requests are signed with the new secret only, retries included. The previous
            secret is erased. A receiver that still uses it will reject requests.
          </p>
        </ConfirmButton>
      </div>
    </div>
  );
}
