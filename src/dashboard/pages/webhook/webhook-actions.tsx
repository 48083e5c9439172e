import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import type { Webhook } from '../../../contracts/webhook.ts';
import { Button } from '../../components/button.tsx';
import { Choices } from '../../components/choices.tsx';
import { ConfirmButton, Modal, useDialog } from '../../components/dialog.tsx';
import { InputField } from '../../components/field.tsx';
import { Problem } from '../../components/problem-notice.tsx';
import { WebhookForm, type WebhookDraft } from '../../components/webhook-form.tsx';
import { policyChangeIn, policyDraftOf } from '../../policy/policy-draft.ts';
import { webhookKeys, webhookQuery } from '../../queries.ts';
import { useShownSettings } from '../../shown-settings.ts';
import { api } from '../../session-api.ts';

export function WebhookActions({ webhook }: { webhook: Webhook }) {
  const { webhook_id: id, active } = webhook;
  return (
    <>
      <EditDialog webhook={webhook} />
      {active ? <PauseButton id={id} /> : <ActivateDialog id={id} />}
      <DeleteWebhook id={id} url={webhook.url} />
    </>
  );
}

function EditDialog({ webhook }: { webhook: Webhook }) {
  const { webhook_id: id, url, events, description, format } = webhook;
  const dialog = useDialog({
    mutationFn: async ([{ description: text, policy, ...draft }, before]: [WebhookDraft, WebhookDraft]) =>
      api.updateWebhook(id, {
        ...draft,
        description: text === '' ? null : text,
        ...policyChangeIn(policy, before.policy),
      }),
    done: 'The webhook was updated',
    changes: webhookKeys,
  });
  return (
    <Modal dialog={dialog} label="Edit" title="Edit webhook">
      <p className="muted">A new URL also applies to waiting deliveries.</p>
      <WebhookForm
        initial={{ url, events, description: description ?? '', format, policy: policyDraftOf(webhook) }}
        webhook={webhook}
        error={dialog.error}
        submitLabel="Save"
        isPending={dialog.isPending}
        onSubmit={(...drafts) => dialog.mutate(drafts)}
      />
    </Modal>
  );
}

function PauseButton({ id }: { id: string }) {
  const settings = useShownSettings();
  return (
    <ConfirmButton
      label="Pause"
      title="Pause this webhook?"
      action="Pause"
      run={() => api.updateWebhook(id, { active: false })}
      done="The webhook is paused"
      changes={webhookKeys}
    >
      <p>
        Nothing is sent until you activate it again. Waiting and new deliveries are held
        {settings ? ` for up to ${settings.hold_hours} hours, then they fail as expired` : ''}.
      </p>
    </ConfirmButton>
  );
}

const choices = [
  { value: 'deliver', label: 'Deliver held deliveries', hint: 'Oldest first, within the hourly cap.' },
  { value: 'discard', label: 'Discard held deliveries', hint: 'They are canceled and never sent.' },
] as const;

/** Activates the webhook, after a choice what happens to its held deliveries. */
function ActivateDialog({ id }: { id: string }) {
  const [held, setHeld] = useState<'deliver' | 'discard'>('deliver');
  const dialog = useDialog({
    mutationFn: () => api.updateWebhook(id, { active: true, held }),
    done: 'The webhook is active',
    changes: webhookKeys,
  });
  return (
    <Modal dialog={dialog} label="Activate" title="Activate this webhook">
      <HeldCount webhookId={id} />
      <Choices
        legend="Held deliveries"
        isLegendHidden
        name="held"
        choices={choices}
        chosen={held}
        onChoose={setHeld}
      />
      <Problem error={dialog.error} />
      <div className="dialog-actions">
        <Button look="primary" disabled={dialog.isPending} onClick={() => dialog.mutate()}>
          Activate
        </Button>
      </div>
    </Modal>
  );
}

function HeldCount({ webhookId }: { webhookId: string }) {
  const { data } = useQuery({
    queryKey: ['deliveries', 'held', webhookId],
    queryFn: () => api.listDeliveries({ webhook_id: webhookId, status: 'held', limit: 100 }),
  });
  if (!data) return <p>{'\u00a0'}</p>;
  const count = data.data.length;
  if (data.next_cursor !== null) return <p>More than {count} deliveries are held.</p>;
  if (count === 0) return <p>No delivery is held.</p>;
  return <p>{count === 1 ? 'One delivery is held.' : `${count} deliveries are held.`}</p>;
}

/** Requires the end of the id as confirmation, because several webhooks may have the same host. */
function DeleteWebhook({ id, url }: { id: string; url: string }) {
  const queryClient = useQueryClient();
  const navigate = useNavigate();
  const [typed, setTyped] = useState('');
  const end = id.slice(-6);
  return (
    <ConfirmButton
      label="Delete"
      title="Delete this webhook?"
      action="Delete permanently"
      isDanger
      isReady={typed.trim() === end}
      onToggle={() => setTyped('')}
      run={() => api.deleteWebhook(id)}
      done="The webhook was deleted"
      onSuccess={async () => {
        await navigate({ to: '/webhooks' });
        queryClient.removeQueries({ queryKey: webhookQuery(id).queryKey });
      }}
      changes={['webhooks']}
    >
      <p>
        <span className="break">{url}</span>, <code className="break">{id}</code>
      </p>
      <p>
        Its secrets are erased and its waiting deliveries are canceled. Past deliveries stay in the log. This
        cannot be undone. To stop deliveries for a while, pause the webhook instead.
      </p>
      <InputField
        label={`Type ${end}, the end of the id, to confirm`}
        spellCheck={false}
        value={typed}
        onChange={setTyped}
      />
    </ConfirmButton>
  );
}
