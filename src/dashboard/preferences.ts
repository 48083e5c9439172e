import { useSyncExternalStore } from 'react';
import { isPortal } from './portal.ts';
import type { TimeZone } from './time-text.ts';

/** What the user can choose for this browser; the first value is the default. */
export const preferences = {
  theme: ['system', 'light', 'dark'],
  times: ['local', 'utc'],
} as const;
type Name = keyof typeof preferences;
export type Preference<Of extends Name> = (typeof preferences)[Of][number];

const storageKeys = { theme: 'fltr-theme', times: 'fltr-times' } as const satisfies Record<Name, string>;

/** The browser's storage; without one, a choice lasts until the page is left. */
function read<Of extends Name>(name: Of): Preference<Of> {
  const values: readonly Preference<Of>[] = preferences[name];
  const [standard] = preferences[name];
  try {
    const stored = localStorage.getItem(storageKeys[name]);
    return values.find((value) => value === stored) ?? standard;
  } catch {
    return standard;
  }
}

function store(name: Name, value: string): void {
  try {
    if (value === preferences[name][0]) localStorage.removeItem(storageKeys[name]);
    else localStorage.setItem(storageKeys[name], value);
  } catch {
    // See above.
  }
}

// The link of a portal says its theme, and a portal has no page to choose anything.
const chosen: { [Of in Name]: Preference<Of> } = isPortal
  ? { theme: 'system', times: 'local' }
  : { theme: read('theme'), times: read('times') };
const listeners = new Set<() => void>();

function changed(): void {
  const { dataset } = document.documentElement;
  if (chosen.theme === 'system') delete dataset['theme'];
  else dataset['theme'] = chosen.theme;
  for (const listener of listeners) listener();
}

/** Takes effect at once, in all tabs. */
export function choose<Of extends Name>(name: Of, value: Preference<Of>): void {
  Object.assign(chosen, { [name]: value });
  store(name, value);
  changed();
}

if (!isPortal)
  addEventListener('storage', () => {
    Object.assign(chosen, { theme: read('theme'), times: read('times') });
    changed();
  });

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const usePreference = <Of extends Name>(name: Of): Preference<Of> =>
  useSyncExternalStore(subscribe, () => chosen[name]);

/** The zone of all times that are shown and entered. */
export const useTimeZone = (): TimeZone => (usePreference('times') === 'utc' ? 'UTC' : undefined);
