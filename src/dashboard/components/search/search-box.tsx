import { Dialog } from '@base-ui/react/dialog';
import { useEffect, useRef, useState } from 'react';
import { useScopeReason } from '../scope.tsx';
import { SearchDialog } from './search-dialog.tsx';

const isMac = navigator.userAgent.includes('Mac');

/** Typed text goes to these, also `/`. */
const takesText = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || target.matches('input, textarea, select'));

const isShortcut = ({ key, ctrlKey, metaKey, altKey, target }: KeyboardEvent): boolean =>
  (key.toLowerCase() === 'k' && (isMac ? metaKey : ctrlKey) && !altKey) ||
  (key === '/' && !ctrlKey && !metaKey && !altKey && !takesText(target));

/** Opens the search: a button, `/`, and Ctrl-K or ⌘K. */
export function SearchBox() {
  const [isOpen, setOpen] = useState(false);
  const hasNavigated = useRef(false);
  const reason = useScopeReason('webhooks:read');
  const isDisabled = reason !== undefined;
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent): void => {
      if (isDisabled || event.defaultPrevented || !isShortcut(event)) return;
      // Another dialog stays alone.
      if (document.querySelector('[role="dialog"], [role="alertdialog"]') !== null) return;
      event.preventDefault();
      setOpen(true);
    };
    document.addEventListener('keydown', onKeyDown);
    return () => document.removeEventListener('keydown', onKeyDown);
  }, [isDisabled]);
  return (
    <Dialog.Root
      open={isOpen}
      onOpenChange={(isNowOpen) => {
        hasNavigated.current = false;
        setOpen(isNowOpen);
      }}
      onOpenChangeComplete={(isNowOpen) => {
        // The page that was opened is read next.
        if (!isNowOpen && hasNavigated.current) document.getElementById('content')?.focus();
      }}
    >
      <Dialog.Trigger
        className="search-box"
        disabled={isDisabled}
        title={reason}
        aria-keyshortcuts={isMac ? '/ Meta+K' : '/ Control+K'}
      >
        <span>Search</span>
        <kbd aria-hidden>{isMac ? '⌘K' : 'Ctrl K'}</kbd>
      </Dialog.Trigger>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="dialog search-dialog" finalFocus={() => !hasNavigated.current}>
          <SearchDialog
            onOpen={() => {
              hasNavigated.current = true;
              setOpen(false);
            }}
          />
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
