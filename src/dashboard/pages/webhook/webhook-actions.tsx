import { useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import type { Webhook } from '../../../contracts/webhook.ts';
import { ConfirmButton, Modal, useDialog } from '../../components/dialog.tsx';
import { InputField } from '../../components/field.tsx';
import { WebhookForm, type WebhookDraft } from '../../components/webhook-form.tsx';
import { policyChangeIn, policyDraftOf } from '../../policy/policy-draft.ts';
import { webhookKeys, webhookQuery } from '../../queries.ts';
import { api } from '../../session-api.ts';
import { ActivateDialog, PauseButton } from './pause-actions.tsx';

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
