import { AlertDialog } from '@base-ui/react/alert-dialog';
import { useState, type ReactNode } from 'react';
import { Problem } from './problem-notice.tsx';
import { useSubmission } from '../submission.ts';

type Props = {
  /** The button that asks. */
  label: string;
  title: string;
  children: ReactNode;
  /** The button that does it. */
  action: string;
  isDanger?: boolean;
  disabled?: boolean;
  /** Why the button that asks is disabled, where it is. */
  disabledReason?: string | undefined;
  /** Whether what the dialog wants first is done, such as a name typed. */
  isReady?: boolean;
  onOpen?: () => void;
  run: () => Promise<unknown>;
};

/** A button whose deed is asked about first. What fails is said in the dialog, which stays open. */
export function Confirm({
  label,
  title,
  children,
  action,
  isDanger = false,
  disabled = false,
  disabledReason,
  isReady = true,
  onOpen,
  run,
}: Props) {
  const [isOpen, setOpen] = useState(false);
  const deed = useSubmission({ mutationFn: run, onSuccess: () => setOpen(false) });
  const tone = isDanger ? 'button button-danger' : 'button';
  return (
    <AlertDialog.Root
      open={isOpen}
      onOpenChange={(open) => {
        deed.reset();
        if (open) onOpen?.();
        setOpen(open);
      }}
    >
      <AlertDialog.Trigger
        className={tone}
        disabled={disabled || disabledReason !== undefined}
        title={disabledReason}
      >
        {label}
      </AlertDialog.Trigger>
      <AlertDialog.Portal>
        <AlertDialog.Backdrop className="backdrop" />
        <AlertDialog.Popup className="dialog">
          <AlertDialog.Title className="dialog-title">{title}</AlertDialog.Title>
          <AlertDialog.Description render={<div />} className="dialog-text">
            {children}
          </AlertDialog.Description>
          <Problem error={deed.error} />
          <div className="dialog-actions">
            <AlertDialog.Close className="button">Back</AlertDialog.Close>
            <button
              type="button"
              className={isDanger ? 'button button-danger-solid' : 'button button-primary'}
              disabled={deed.isPending || !isReady}
              onClick={() => deed.mutate()}
            >
              {action}
            </button>
          </div>
        </AlertDialog.Popup>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  );
}
