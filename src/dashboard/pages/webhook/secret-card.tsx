import { useState } from 'react';
import type { Webhook } from '../../../contracts/webhook.ts';
import { Button } from '../../components/button.tsx';
import { Check, Choices } from '../../components/choices.tsx';
import { CodeBlock } from '../../components/code-block.tsx';
import { ConfirmButton, Modal, useDialog } from '../../components/dialog.tsx';
import { Problem } from '../../components/problem-notice.tsx';
import { Section } from '../../components/section.tsx';
import { Ago, At, Countdown } from '../../components/time.tsx';
import { webhookKeys } from '../../queries.ts';
import { useShownSettings } from '../../shown-settings.ts';
import { api } from '../../session-api.ts';

export function SecretCard({ webhook }: { webhook: Webhook }) {
  const { webhook_id: id, secret_created_at: createdAt, previous_secret_until: until } = webhook;
  return (
    <Section title="Secret" className="card stack-small">
      <p>
        Created <Ago at={createdAt} />. Rotate it every 90 days, and at once if it leaked.
      </p>
      {until && <Overlap webhookId={id} until={until} />}
      <div className="row">
        <RotateDialog webhookId={id} until={until} />
        <RevealDialog webhookId={id} />
      </div>
    </Section>
  );
}

function Overlap({ webhookId, until }: { webhookId: string; until: string }) {
  const settings = useShownSettings();
  return (
    <div className="notice stack-small">
      <p>
        <strong>Secret overlap.</strong> The previous secret is valid until <At at={until} /> (
        <Countdown to={until} />
        ).{' '}
        {settings?.signatures.includes('fltr') && (
          <>
            Until then, <code>{settings.header_prefix}Signature</code> uses the previous secret.{' '}
          </>
        )}
        {settings?.signatures.includes('standard') && (
          <>
            <code>webhook-signature</code> contains a signature for each of the two.
          </>
        )}
      </p>
      <div>
        <ConfirmButton
          label="End overlap"
          title="End the overlap now?"
          action="End the overlap"
          isDanger
          run={() => api.finishSecretRotation(webhookId)}
          done="The overlap has ended. Only the new secret is valid now"
          changes={webhookKeys}
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

const overlaps = [
  { value: 604_800, label: '7 days' },
  { value: 86_400, label: '1 day' },
  { value: 3600, label: '1 hour' },
  { value: 0, label: 'None: the previous secret becomes invalid at once, for a leaked secret' },
];

/** Creates a new secret, which is shown once, and sets how long the previous one stays valid. */
function RotateDialog({ webhookId, until }: { webhookId: string; until: string | null }) {
  const [seconds, setSeconds] = useState(86_400);
  const [endsOverlap, setEndsOverlap] = useState(false);
  const dialog = useDialog({
    mutationFn: () =>
      api.rotateWebhookSecret(webhookId, {
        overlap_seconds: seconds,
        end_overlap: until !== null && endsOverlap,
      }),
    done: 'The secret was rotated',
    changes: webhookKeys,
    gcTime: 0,
    staysOpen: true,
    onToggle: () => setEndsOverlap(false),
  });
  return (
    <Modal dialog={dialog} label="Rotate" title={dialog.data ? 'The new secret' : 'Rotate the secret'}>
      {dialog.data ? (
        <>
          <p>
            Configure it in your receiver. It is shown once here. You can reveal it later, which is recorded
            in the audit log.
          </p>
          <CodeBlock label="New secret" text={dialog.data.secret} />
          <div className="dialog-actions">
            <Button look="primary" onClick={() => dialog.toggle(false)}>
              I have saved it
            </Button>
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
              <Check
                label="End the previous secret now and rotate again"
                isChecked={endsOverlap}
                onChange={setEndsOverlap}
              />
            </div>
          )}
          <Problem error={dialog.error} />
          <div className="dialog-actions">
            <Button
              look="primary"
              disabled={dialog.isPending || (until !== null && !endsOverlap)}
              onClick={() => dialog.mutate()}
            >
              Rotate the secret
            </Button>
          </div>
        </>
      )}
    </Modal>
  );
}

/** Shows the secret; it is dropped from memory when the dialog closes. */
function RevealDialog({ webhookId }: { webhookId: string }) {
  const dialog = useDialog({
    mutationFn: () => api.getWebhookSecret(webhookId),
    gcTime: 0,
    staysOpen: true,
  });
  const { data } = dialog;
  return (
    <Modal dialog={dialog} label="Reveal secret" title="Reveal the secret">
      <p>
        Anyone who has the secret can forge requests to your receiver. Revealing it is recorded in the audit
        log.
      </p>
      <Problem error={dialog.error} />
      {data ? (
        <>
          <CodeBlock label="Secret" text={data.secret} />
          {data.previous_secret !== null && (
            <CodeBlock label="Previous secret, valid during the overlap" text={data.previous_secret} />
          )}
        </>
      ) : (
        <div className="dialog-actions">
          <Button look="primary" disabled={dialog.isPending} onClick={() => dialog.mutate()}>
            Reveal
          </Button>
        </div>
      )}
    </Modal>
  );
}
