import { useState, type FormEvent } from 'react';
import { api } from '../../session-api.ts';
import { Modal } from '../../components/dialog.tsx';
import { Field } from '../../components/field.tsx';
import { fieldError, Problem } from '../../components/problem-notice.tsx';
import { fromLocalInput, toLocalInput } from '../../local-time.ts';
import { useSubmission } from '../../submission.ts';

type Props = { id: string; disabledReason: string | undefined; onDone: (title: string) => Promise<void> };

const inMinutes = (minutes: number): string =>
  toLocalInput(new Date(Date.now() + minutes * 60_000).toISOString());

export function RescheduleDialog({ id, disabledReason, onDone }: Props) {
  const [isOpen, setOpen] = useState(false);
  const [text, setText] = useState('');
  const at = fromLocalInput(text);
  const change = useSubmission({
    mutationFn: (next: string) => api.rescheduleDelivery(id, { next_attempt_at: next }),
    async onSuccess() {
      setOpen(false);
      await onDone('The next attempt was rescheduled');
    },
  });
  const open = (isNowOpen: boolean) => {
    change.reset();
    setText(inMinutes(60));
    setOpen(isNowOpen);
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (at !== undefined) change.mutate(at);
  };
  const problem = fieldError(change.error, '/next_attempt_at');
  return (
    <Modal
      title="Reschedule the next attempt"
      trigger="Reschedule"
      disabledReason={disabledReason}
      isOpen={isOpen}
      onOpenChange={open}
    >
      <form className="form" onSubmit={submit}>
        <Field
          label="Next attempt"
          hint="In your time zone, at most 30 days ahead. The hourly cap still applies."
          error={problem}
        >
          {(control) => (
            <input
              {...control}
              type="datetime-local"
              required
              value={text}
              min={inMinutes(0)}
              max={inMinutes(30 * 24 * 60 - 1)}
              onChange={({ target }) => setText(target.value)}
            />
          )}
        </Field>
        {problem === undefined && <Problem error={change.error} />}
        <div className="dialog-actions">
          <button type="button" className="button" onClick={() => open(false)}>
            Back
          </button>
          <button type="submit" className="button button-primary" disabled={change.isPending}>
            Reschedule
          </button>
        </div>
      </form>
    </Modal>
  );
}
