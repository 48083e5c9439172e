import { Dialog } from '@base-ui/react/dialog';
import type { ReactNode } from 'react';

type Props = {
  title: string;
  isOpen: boolean;
  onOpenChange: (isOpen: boolean) => void;
  /** The label of the button that opens the dialog. */
  trigger?: ReactNode;
  /** Disables that button, with this as the reason. */
  disabledReason?: string | undefined;
  children: ReactNode;
};

export function Modal({ title, isOpen, onOpenChange, trigger, disabledReason, children }: Props) {
  return (
    <Dialog.Root open={isOpen} onOpenChange={onOpenChange}>
      {trigger && (
        <Dialog.Trigger className="button" disabled={disabledReason !== undefined} title={disabledReason}>
          {trigger}
        </Dialog.Trigger>
      )}
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="dialog">
          <Dialog.Title className="dialog-title">{title}</Dialog.Title>
          {children}
          {/* Last in tab order, so that the first field gets the focus. */}
          <Dialog.Close className="icon-button dialog-close" aria-label="Close">
            ×
          </Dialog.Close>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
