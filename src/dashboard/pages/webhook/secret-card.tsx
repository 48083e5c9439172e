import type { Webhook } from '../../../contracts/webhook.ts';
import { api } from '../../session-api.ts';
import { Confirm } from '../../components/confirm-button.tsx';
import { useScopeReason } from '../../components/scope.tsx';
import { Ago, At, Countdown } from '../../components/time.tsx';
import { useWebhookChanged } from '../../use-webhook-changed.ts';
import { RevealDialog } from './reveal-dialog.tsx';
import { RotateDialog } from './rotate-dialog.tsx';

/** How old the secret is; to rotate it, to read it, to end an overlap. */
export function Secret({ webhook }: { webhook: Webhook }) {
  const { webhook_id: id, secret_created_at: createdAt, previous_secret_until: until } = webhook;
  return (
    <section className="card stack-small" aria-labelledby="secret-title">
      <h2 id="secret-title">Secret</h2>
      <p>
        Made <Ago at={createdAt} />. Rotate it every 90 days, or at once if it leaked.
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
    await changed('The overlap has ended: the new secret signs alone');
  };
  return (
    <div className="notice stack-small">
      <p>
        <strong>An overlap runs.</strong> Until <At at={until} /> (<Countdown to={until} />){' '}
        <code>X-FLTR-Signature</code> is made with the previous secret, and <code>webhook-signature</code>{' '}
        lists both.
      </p>
      <div>
        <Confirm
          label="End it now"
          title="End the overlap now?"
          action="End the overlap"
          isDanger
          disabledReason={reason}
          run={finish}
        >
          <p>
            From now on the new secret signs alone, retries of earlier events included, and the previous one
            is wiped. A receiver that still has the previous one will refuse what comes.
          </p>
        </Confirm>
      </div>
    </div>
  );
}
