import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { Webhook } from '../../../contracts/webhook.ts';
import { api } from '../../session-api.ts';
import { Choices } from '../../components/choices.tsx';
import { Modal } from '../../components/dialog.tsx';
import { Problem } from '../../components/problem-notice.tsx';
import { useScopeReason } from '../../components/scope.tsx';
import { useWebhookChanged } from '../../use-webhook-changed.ts';
import { useSubmission } from '../../submission.ts';

type Held = 'deliver' | 'discard';

const choices: readonly { value: Held; label: string; hint: string }[] = [
  { value: 'deliver', label: 'Deliver held deliveries', hint: 'Oldest first, within the hourly cap.' },
  { value: 'discard', label: 'Discard held deliveries', hint: 'They are canceled and never sent.' },
];

/** Activates the webhook, after a choice what happens to its held deliveries. */
export function ActivateDialog({ webhook: { webhook_id: id } }: { webhook: Webhook }) {
  const reason = useScopeReason('webhooks:write');
  const changed = useWebhookChanged();
  const [isOpen, setOpen] = useState(false);
  const [held, setHeld] = useState<Held>('deliver');
  const activation = useSubmission({
    mutationFn: () => api.updateWebhook(id, { active: true, held }),
    onSuccess: () => {
      setOpen(false);
      return changed('The webhook is active');
    },
  });
  const toggle = (open: boolean) => {
    activation.reset();
    setOpen(open);
  };
  return (
    <Modal
      title="Activate this webhook"
      trigger="Activate"
      disabledReason={reason}
      isOpen={isOpen}
      onOpenChange={toggle}
    >
      <HeldCount webhookId={id} />
      <Choices
        legend="Held deliveries"
        isLegendHidden
        name="held"
        choices={choices}
        chosen={held}
        onChoose={setHeld}
      />
      <Problem error={activation.error} />
      <div className="dialog-actions">
        <button
          type="button"
          className="button button-primary"
          disabled={activation.isPending}
          onClick={() => activation.mutate()}
        >
          Activate
        </button>
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
