import { AlertDialog } from '@base-ui/react/alert-dialog';
import { Dialog } from '@base-ui/react/dialog';
import { useState, type ReactNode } from 'react';
import type { Scope } from '../../contracts/key.ts';
import { useSubmission, type Submission } from '../submission.ts';
import { Button } from './button.tsx';
import { Problem } from './problem-notice.tsx';
import { useScopeReason } from './scope.tsx';

type DialogOptions<Data, Variables> = Submission<Data, Variables> & {
  /** It shows the result, and is closed by the user. */
  staysOpen?: boolean;
  /** Runs when it opens or closes, for example to empty its fields. */
  onToggle?: (() => void) | undefined;
};

/** A dialog with a submission, which starts anew each time. */
export function useDialog<Data, Variables = void>(dialog: DialogOptions<Data, Variables>) {
  const { staysOpen = false, onToggle, onSuccess, ...options } = dialog;
  const [isOpen, setOpen] = useState(false);
  const submission = useSubmission<Data, Variables>({
    ...options,
    onSuccess(data) {
      if (!staysOpen) setOpen(false);
      return onSuccess?.(data);
    },
  });
  const toggle = (isNowOpen: boolean) => {
    submission.reset();
    onToggle?.();
    setOpen(isNowOpen);
  };
  return { ...submission, isOpen, toggle };
}

type ModalProps = {
  dialog: { isOpen: boolean; toggle: (isNowOpen: boolean) => void };
  /** The button that opens the dialog. */
  label: string;
  title: string;
  /** Asks for a confirmation: it has no close button, and a click beside it does not close it. */
  isAlert?: boolean;
  isDanger?: boolean;
  /** The scope that the action needs. Without it, the button is disabled. Default: `webhooks:write`. */
  scope?: Scope;
  /** Disables the button that opens the dialog, as does a missing scope. It can still have the focus, which a closed dialog returns. */
  disabledReason?: string | undefined;
  children: ReactNode;
};

/** A button and the dialog that it opens. */
export function Modal(props: ModalProps) {
  const {
    scope = 'webhooks:write',
    dialog,
    label,
    title,
    isAlert = false,
    isDanger = false,
    disabledReason,
    children,
  } = props;
  const reason = useScopeReason(scope) ?? disabledReason;
  const { Root, Trigger } = isAlert ? AlertDialog : Dialog;
  return (
    <Root
      open={dialog.isOpen}
      onOpenChange={(isNowOpen) => {
        if (!isNowOpen || reason === undefined) dialog.toggle(isNowOpen);
      }}
    >
      <Trigger
        className={isDanger ? 'button button-danger' : 'button'}
        aria-disabled={reason !== undefined}
        title={reason}
      >
        {label}
      </Trigger>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="dialog">
          <Dialog.Title className="dialog-title">{title}</Dialog.Title>
          {children}
          {/* Last in tab order, so that the first field gets the focus. */}
          {!isAlert && (
            <Dialog.Close className="icon-button dialog-close" aria-label="Close">
              ×
            </Dialog.Close>
          )}
        </Dialog.Popup>
      </Dialog.Portal>
    </Root>
  );
}

type ConfirmProps = Omit<ModalProps, 'dialog' | 'isAlert'> &
  Pick<DialogOptions<unknown, void>, 'done' | 'changes' | 'onToggle' | 'onSuccess'> & {
    /** The button that confirms. */
    action: string;
    /** Whether the dialog's own input is complete, such as a typed confirmation. */
    isReady?: boolean;
    run: () => Promise<unknown>;
  };

/** A button whose action must be confirmed in a dialog. Errors are shown in the dialog, which stays open. */
export function ConfirmButton(props: ConfirmProps) {
  const { action, isReady = true, run, done, changes, onToggle, onSuccess, children, ...modal } = props;
  const dialog = useDialog({ mutationFn: run, done, changes, onToggle, onSuccess });
  return (
    <Modal {...modal} dialog={dialog} isAlert>
      <Dialog.Description render={<div />} className="dialog-text">
        {children}
      </Dialog.Description>
      <Problem error={dialog.error} />
      <div className="dialog-actions">
        <Dialog.Close className="button">Back</Dialog.Close>
        <Button
          look={modal.isDanger ? 'danger-solid' : 'primary'}
          disabled={dialog.isPending || !isReady}
          onClick={() => dialog.mutate()}
        >
          {action}
        </Button>
      </div>
    </Modal>
  );
}
