import { AlertDialog } from '@base-ui/react/alert-dialog';
import { useState, type ReactNode } from 'react';
import { Problem } from './problem-notice.tsx';
import { useSubmission } from '../submission.ts';

type Props = {
  /** The button that opens the dialog. */
  label: string;
  title: string;
  children: ReactNode;
  /** The button that confirms. */
  action: string;
  isDanger?: boolean;
  /** Disables the button, with this as the reason. */
  disabledReason?: string | undefined;
  /** Whether the dialog's own input is complete, such as a typed confirmation. */
  isReady?: boolean;
  onOpen?: () => void;
  run: () => Promise<unknown>;
};

/** A button whose action must be confirmed in a dialog. Errors are shown in the dialog, which stays open. */
export function ConfirmButton({
  label,
  title,
  children,
  action,
  isDanger = false,
  disabledReason,
  isReady = true,
  onOpen,
  run,
}: Props) {
  const [isOpen, setOpen] = useState(false);
  const submission = useSubmission({ mutationFn: run, onSuccess: () => setOpen(false) });
  const tone = isDanger ? 'button button-danger' : 'button';
  return (
    <AlertDialog.Root
      open={isOpen}
      onOpenChange={(open) => {
        submission.reset();
        if (open) onOpen?.();
        setOpen(open);
      }}
    >
      <AlertDialog.Trigger className={tone} disabled={disabledReason !== undefined} title={disabledReason}>
        {label}
      </AlertDialog.Trigger>
      <AlertDialog.Portal>
        <AlertDialog.Backdrop className="backdrop" />
        <AlertDialog.Popup className="dialog">
          <AlertDialog.Title className="dialog-title">{title}</AlertDialog.Title>
          <AlertDialog.Description render={<div />} className="dialog-text">
            {children}
          </AlertDialog.Description>
          <Problem error={submission.error} />
          <div className="dialog-actions">
            <AlertDialog.Close className="button">Back</AlertDialog.Close>
            <button
              type="button"
              className={isDanger ? 'button button-danger-solid' : 'button button-primary'}
              disabled={submission.isPending || !isReady}
              onClick={() => submission.mutate()}
            >
              {action}
            </button>
          </div>
        </AlertDialog.Popup>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  );
}
