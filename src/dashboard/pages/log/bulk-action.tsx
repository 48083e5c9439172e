import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useId, useRef, useState } from 'react';
import { defaultPerSecond, type DeliveryAction, type Operation } from '../../../contracts/operation.ts';
import { Button } from '../../components/button.tsx';
import { Modal, useDialog } from '../../components/dialog.tsx';
import { Form, InputField } from '../../components/field.tsx';
import { NextAttemptField } from '../../components/next-attempt-field.tsx';
import { fieldError, Problem } from '../../components/problem-notice.tsx';
import { actionNames, deliveriesText, effectText, paceText } from '../../log/bulk-text.ts';
import type { Target } from '../../log/selection.ts';
import { deliveryKeys } from '../../queries.ts';
import { api } from '../../session-api.ts';
import { minutesFromNow } from '../../times.ts';

type Chosen = Extract<Target, { filter: unknown }>;
type Options = { filter: Chosen['filter']; per_second: number; next_attempt_at?: string };
type Props = {
  action: DeliveryAction;
  target: Target;
  /** Of the button; the action's name if it is left out. */
  label?: string;
  onDone?: () => void;
};

/** A button that does an action to all selected deliveries, after a count. */
export function BulkAction({ action, target, label = actionNames[action], onDone }: Props) {
  const hasStarted = useRef(false);
  const dialog = useDialog<Operation, Options>({
    mutationFn: (options) => api.actOnDeliveries({ action, ...options }),
    staysOpen: true,
    changes: [...deliveryKeys, 'operations'],
    onSuccess: () => {
      hasStarted.current = true;
    },
    onToggle: () => {
      if (hasStarted.current) onDone?.();
    },
  });
  return (
    <Modal
      dialog={dialog}
      label={label}
      title={`${actionNames[action]} deliveries`}
      disabledReason={'reason' in target ? target.reason : undefined}
    >
      {dialog.data ? (
        <Started operation={dialog.data} onClose={() => dialog.toggle(false)} />
      ) : (
        'filter' in target && (
          <ActionForm
            action={action}
            target={target}
            error={dialog.error}
            isPending={dialog.isPending}
            onBack={() => dialog.toggle(false)}
            onSubmit={dialog.mutate}
          />
        )
      )}
    </Modal>
  );
}

type FormProps = {
  action: DeliveryAction;
  target: Chosen;
  error: Error | null;
  isPending: boolean;
  onBack: () => void;
  onSubmit: (options: Options) => void;
};

function ActionForm({ action, target, error, isPending, onBack, onSubmit }: FormProps) {
  // As it was when the dialog opened: rows change meanwhile.
  const [{ filter, leftOut }] = useState(target);
  const [pace, setPace] = useState(String(defaultPerSecond));
  const [nextAttemptAt, setNextAttemptAt] = useState(() =>
    action === 'reschedule' ? minutesFromNow(60) : undefined,
  );
  const count = useQuery({
    queryKey: ['dry-run', useId()],
    queryFn: () =>
      api.actOnDeliveries({
        action,
        filter,
        ...(nextAttemptAt === undefined ? {} : { next_attempt_at: nextAttemptAt }),
        dry_run: true,
      }),
    staleTime: Infinity,
    gcTime: 0,
  });
  const total = count.data?.total;
  const perSecond = /^\d{1,4}$/.test(pace) ? Number(pace) : 0;
  const isPaceValid = perSecond >= 1 && perSecond <= 1000;
  const timeError = fieldError(error, '/next_attempt_at');
  const submit = () =>
    onSubmit({
      filter,
      per_second: perSecond,
      ...(nextAttemptAt === undefined ? {} : { next_attempt_at: nextAttemptAt }),
    });
  return (
    <Form onSubmit={submit}>
      {action === 'reschedule' && (
        <NextAttemptField value={nextAttemptAt} error={timeError} onChange={setNextAttemptAt} />
      )}
      <output className="bulk-effect">
        {total === undefined && count.error === null && 'Counting …'}
        {total === 0 && 'No delivery matches now.'}
        {total !== undefined && total > 0 && effectText(action, total)}
        {leftOut > 0 && ` ${deliveriesText(leftOut)} of the selection cannot be changed in this way.`}
      </output>
      <InputField
        label="Deliveries per second"
        hint={paceText(total ?? 0, isPaceValid ? perSecond : defaultPerSecond)}
        error={isPaceValid ? undefined : 'Enter a whole number from 1 to 1,000.'}
        inputMode="numeric"
        maxLength={4}
        value={pace}
        onChange={setPace}
      />
      <Problem error={count.error ?? (timeError === undefined ? error : null)} />
      <div className="dialog-actions">
        <Button onClick={onBack}>Back</Button>
        <Button
          type="submit"
          look={action === 'cancel' ? 'danger-solid' : 'primary'}
          disabled={!total || !isPaceValid || isPending}
        >
          {total ? `${actionNames[action]} ${deliveriesText(total)}` : actionNames[action]}
        </Button>
      </div>
    </Form>
  );
}

function Started({ operation: { id, total }, onClose }: { operation: Operation; onClose: () => void }) {
  return (
    <>
      <output>
        The operation on {deliveriesText(total)} has started. It continues when you leave this page.
      </output>
      <div className="dialog-actions">
        <Button onClick={onClose}>Close</Button>
        <Link to="/operations/$id" params={{ id }} className="button button-primary">
          View operation
        </Link>
      </div>
    </>
  );
}
