import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Button } from '../../components/button.tsx';
import { Choices } from '../../components/choices.tsx';
import { ConfirmButton, Modal, useDialog } from '../../components/dialog.tsx';
import { Form, InputField } from '../../components/field.tsx';
import { fieldError, Problem } from '../../components/problem-notice.tsx';
import { TimeField } from '../../components/time-field.tsx';
import { numberIn, requireNone, type FormFaults } from '../../policy/form-faults.ts';
import { webhookKeys } from '../../queries.ts';
import { useShownSettings } from '../../shown-settings.ts';
import { api } from '../../session-api.ts';

/** Pauses the webhook, until it is activated or until a time. */
export function PauseButton({ id }: { id: string }) {
  const settings = useShownSettings();
  const [until, setUntil] = useState<string>();
  const [reason, setReason] = useState('');
  return (
    <ConfirmButton
      label="Pause"
      title="Pause this webhook?"
      action="Pause"
      run={() =>
        api.pauseWebhook(id, {
          ...(until === undefined ? {} : { until }),
          ...(reason.trim() === '' ? {} : { reason: reason.trim() }),
        })
      }
      onToggle={() => {
        setUntil(undefined);
        setReason('');
      }}
      done="The webhook is paused"
      changes={webhookKeys}
    >
      <p>
        Nothing is sent until it is active again. Waiting and new deliveries are held
        {settings ? ` for up to ${settings.hold_hours} hours, then they fail as expired` : ''}.
      </p>
      <TimeField
        label="Until"
        hint="Optional. Empty: until you activate it."
        value={until}
        onChange={setUntil}
      />
      <InputField
        label="Reason (optional)"
        hint="Shown with the webhook."
        maxLength={200}
        value={reason}
        onChange={setReason}
      />
    </ConfirmButton>
  );
}

const choices = [
  { value: 'deliver', label: 'Deliver held deliveries', hint: 'Oldest first, within its limits.' },
  { value: 'discard', label: 'Discard held deliveries', hint: 'They are canceled and never sent.' },
] as const;

/** Activates the webhook, after a choice whether its held deliveries are delivered or discarded. */
export function ActivateDialog({ id }: { id: string }) {
  const [held, setHeld] = useState<'deliver' | 'discard'>('deliver');
  const [perSecond, setPerSecond] = useState('');
  const dialog = useDialog({
    mutationFn: async () => {
      const faults: FormFaults = [];
      const rate = held === 'deliver' ? numberIn(perSecond, '/per_second', faults) : null;
      requireNone(faults);
      return rate === null
        ? api.updateWebhook(id, { active: true, held })
        : api.resumeWebhook(id, { per_second: rate });
    },
    done: 'The webhook is active',
    changes: webhookKeys,
    onToggle: () => setPerSecond(''),
  });
  const rateError = fieldError(dialog.error, '/per_second');
  return (
    <Modal dialog={dialog} label="Activate" title="Activate this webhook">
      <Form onSubmit={() => dialog.mutate()}>
        <HeldCount webhookId={id} />
        <Choices
          legend="Held deliveries"
          isLegendHidden
          name="held"
          choices={choices}
          chosen={held}
          onChoose={setHeld}
        />
        {held === 'deliver' && (
          <InputField
            label="Attempts a second, at most (optional)"
            hint="1 to 1,000, until no delivery is waiting. Empty: as fast as its limits allow."
            error={rateError}
            inputMode="numeric"
            value={perSecond}
            onChange={setPerSecond}
          />
        )}
        {rateError === undefined && <Problem error={dialog.error} />}
        <div className="dialog-actions">
          <Button look="primary" type="submit" disabled={dialog.isPending}>
            Activate
          </Button>
        </div>
      </Form>
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
