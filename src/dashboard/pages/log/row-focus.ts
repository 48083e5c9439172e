const rowOf = (id: string): HTMLElement | null =>
  document.querySelector(`.log-table tr[data-key="${CSS.escape(id)}"]`);

export const linkOfRow = (id: string): HTMLElement | null =>
  rowOf(id)?.querySelector<HTMLElement>('.row-link') ?? null;

/** The delivery of a row's link. */
export const rowIdOf = (link: Element | null): string | undefined =>
  link?.closest('tr')?.dataset['key'] ?? undefined;

/** Frames in which a row that is scrolled to has to be rendered. */
const maxFrames = 20;

/** Focuses the link of a row, and scrolls to it as far as needed. `index`: its position among the loaded rows. */
export function focusRow(id: string, index: number, frames = maxFrames): void {
  const link = linkOfRow(id);
  if (link) {
    link.focus({ preventScroll: true });
    rowOf(id)?.scrollIntoView({ block: 'nearest' });
    return;
  }
  // Rows far outside of the screen are not rendered.
  const body = document.querySelector('.log-table tbody');
  const height = body?.querySelector('[data-row]')?.getBoundingClientRect().height ?? 0;
  if (!body || frames === 0) return;
  const top = scrollY + body.getBoundingClientRect().top + index * height;
  scrollTo({ top: Math.max(0, top - innerHeight / 2) });
  requestAnimationFrame(() => focusRow(id, index, frames - 1));
}

/** Keeps a row where it is on the screen while the filters above it change their height. */
export function keepRowPosition(id: string): void {
  const before = rowOf(id)?.getBoundingClientRect().top;
  if (before === undefined) return;
  const content = document.getElementById('content');
  if (!content) return;
  const observer = new ResizeObserver(() => {
    const now = rowOf(id)?.getBoundingClientRect().top;
    if (now !== undefined && Math.abs(now - before) > 1) scrollBy(0, now - before);
  });
  observer.observe(content);
  setTimeout(() => observer.disconnect(), 500);
}

export const focusPanel = (): void => document.querySelector<HTMLElement>('.panel')?.focus();
