import { Dialog } from '@base-ui/react/dialog';
import type { ReactNode } from 'react';

type Props = {
  title: string;
  isOpen: boolean;
  onOpenChange: (isOpen: boolean) => void;
  /** The button that opens it, where one does. */
  trigger?: ReactNode;
  /** Why that button is disabled, where it is. */
  disabledReason?: string | undefined;
  children: ReactNode;
};

/** A dialog with a title; Escape, its × and a click beside it close it, the focus comes back. */
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
          {/* The last one in order, so that the first field has the focus at first. */}
          <Dialog.Close className="icon-button dialog-close" aria-label="Close">
            ×
          </Dialog.Close>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
