import { useNavigate, useRouter } from '@tanstack/react-router';
import { useEffect, useLayoutEffect, useRef, useSyncExternalStore } from 'react';
import type { DeliverySummary } from '../../../contracts/delivery.ts';
import type { LogSearch } from '../../log-search.ts';
import { focusPanel, focusRow, keepRowPosition, linkOfRow, rowIdOf } from './row-focus.ts';

/** Wide enough for a panel beside the list. */
const wide = matchMedia('(min-width: 900px)');
const subscribe = (onChange: () => void) => {
  wide.addEventListener('change', onChange);
  return () => wide.removeEventListener('change', onChange);
};
export const useIsWide = (): boolean => useSyncExternalStore(subscribe, () => wide.matches);

type Options = {
  /** The id of the delivery that the panel shows. */
  open: string | undefined;
  search: LogSearch;
  rows: readonly DeliverySummary[];
  loadMore: () => void;
};

/** Where these keys have a meaning of their own. */
const otherKeys = '[role="dialog"], [role="alertdialog"], input:not([type="checkbox"]), select, textarea';

/** Opens and closes the panel: its delivery is in the address. */
function usePanelAddress(open: string | undefined, search: LogSearch) {
  const navigate = useNavigate();
  const router = useRouter();
  const isOpen = open !== undefined;
  const show = (id: string) => {
    if (!isOpen) keepRowPosition(id);
    // A walk through the list is one step of the browser's history.
    void navigate({
      to: '/log',
      search: { ...search, open: id },
      replace: isOpen,
      state: isOpen || { isOpenedInList: true },
      resetScroll: false,
    });
  };
  const close = () => {
    keepRowPosition(open ?? '');
    if (!router.state.location.state.isOpenedInList) {
      void navigate({ to: '/log', search, replace: true, resetScroll: false });
      return;
    }
    // Back to the list, so that no entry is left in the history. The list stays where it is, also after a walk through it.
    const { scrollY: top } = window;
    const stop = router.subscribe('onRendered', () => {
      stop();
      scrollTo({ top });
    });
    router.history.back();
  };
  return { show, close };
}

/**
 * The panel beside the list. The address holds the id of the open delivery. A click on a row, or Space, opens it; the arrows walk through the
 * list, and into the panel; Escape closes it. Enter is left to the link of the row, which opens the page.
 */
export function usePanel({ open, search, rows, loadMore }: Options) {
  const isOpen = open !== undefined;
  const index = isOpen ? rows.findIndex(({ id }) => id === open) : -1;
  const { show, close } = usePanelAddress(open, search);
  const move = (from: number, step: 1 | -1) => {
    const next = rows[from + step];
    if (next === undefined) {
      if (step === 1) loadMore();
      return;
    }
    show(next.id);
    focusRow(next.id, from + step);
  };
  const onClick = (event: MouseEvent) => {
    const id = event.target instanceof Element ? rowIdOf(event.target.closest('.row-link')) : undefined;
    const hasModifier = event.ctrlKey || event.metaKey || event.shiftKey || event.altKey;
    // Without a pointer it is Enter.
    if (id === undefined || event.detail === 0 || hasModifier || !wide.matches) return;
    event.preventDefault();
    show(id);
    linkOfRow(id)?.focus({ preventScroll: true });
  };
  const onKey = (event: KeyboardEvent) => {
    const { key, target } = event;
    const hasModifier = event.ctrlKey || event.metaKey || event.shiftKey || event.altKey;
    if (event.defaultPrevented || hasModifier || !wide.matches || !(target instanceof Element)) return;
    if (target.closest(otherKeys)) return;
    const focused = rowIdOf(target.closest('.row-link'));
    if (key === 'Escape' && isOpen) return close();
    if (key === ' ' && focused !== undefined) {
      event.preventDefault();
      return focused === open ? close() : show(focused);
    }
    if (key === 'ArrowRight' && focused !== undefined && isOpen) return focusPanel();
    if (key !== 'ArrowDown' && key !== 'ArrowUp') return;
    // In the panel, they scroll.
    if (focused === undefined && (!isOpen || target.closest('.panel'))) return;
    const from = focused === undefined ? index : rows.findIndex(({ id }) => id === focused);
    if (from === -1) return;
    event.preventDefault();
    move(from, key === 'ArrowDown' ? 1 : -1);
  };
  const latest = useRef({ onClick, onKey });
  useLayoutEffect(() => {
    latest.current = { onClick, onKey };
  });
  useEffect(() => {
    const click = (event: MouseEvent) => latest.current.onClick(event);
    const key = (event: KeyboardEvent) => latest.current.onKey(event);
    // Before the link of the row follows its address.
    document.addEventListener('click', click, true);
    document.addEventListener('keydown', key);
    return () => {
      document.removeEventListener('click', click, true);
      document.removeEventListener('keydown', key);
    };
  }, []);
  const shown = useRef<string>(undefined);
  useEffect(() => {
    // The element of the panel that had the focus is gone.
    if (open === undefined && shown.current !== undefined && document.activeElement === document.body)
      linkOfRow(shown.current)?.focus({ preventScroll: true });
    shown.current = open;
  }, [open]);
  return {
    row: rows[index],
    close,
    previous: index > 0 ? () => move(index, -1) : undefined,
    next: index !== -1 && index < rows.length - 1 ? () => move(index, 1) : undefined,
  };
}
