import { useState } from 'react';
import type { Webhook } from '../../../contracts/webhook.ts';
import { api } from '../../session-api.ts';
import { Modal } from '../../components/dialog.tsx';
import { useScopeReason } from '../../components/scope.tsx';
import { WebhookForm, type WebhookDraft } from '../../components/webhook-form.tsx';
import type { EventFilter } from '../../event-filters.ts';
import { useWebhookChanged } from '../../use-webhook-changed.ts';
import { useSubmission } from '../../submission.ts';

export function EditDialog({ webhook }: { webhook: Webhook }) {
  const { webhook_id: id, url, events, description, format } = webhook;
  const reason = useScopeReason('webhooks:write');
  const changed = useWebhookChanged();
  const [isOpen, setOpen] = useState(false);
  const edit = useSubmission({
    mutationFn: ({ description: text, ...draft }: WebhookDraft) =>
      api.updateWebhook(id, { ...draft, description: text === '' ? null : text }),
    onSuccess: () => {
      setOpen(false);
      return changed('The webhook was updated');
    },
  });
  const toggle = (open: boolean) => {
    edit.reset();
    setOpen(open);
  };
  return (
    <Modal title="Edit webhook" trigger="Edit" disabledReason={reason} isOpen={isOpen} onOpenChange={toggle}>
      <p className="muted">A new URL also applies to waiting deliveries.</p>
      <WebhookForm
        initial={{ url, events: events as EventFilter[], description: description ?? '', format }}
        error={edit.error}
        submitLabel="Save"
        isPending={edit.isPending}
        onSubmit={(draft) => edit.mutate(draft)}
      />
    </Modal>
  );
}
