import type { Change, Topic } from '../contracts/change.ts';

type Marked = { topics: Set<Topic>; ids: Set<string> | null };

/**
 * Collects changes until they are taken. Of more accounts, or more ids of an account, only that something has
 * changed is kept.
 */
export function createChangeSet({ maxAccounts, maxIds }: { maxAccounts: number; maxIds: number }) {
  let marked = new Map<string, Marked>();
  let isEverything = false;
  return {
    add(accountId: string, changed: readonly Topic[], ids: readonly string[] | null): void {
      if (isEverything) return;
      let of = marked.get(accountId);
      if (!of) {
        if (marked.size >= maxAccounts) return this.addEverything();
        of = { topics: new Set(), ids: new Set() };
        marked.set(accountId, of);
      }
      for (const topic of changed) of.topics.add(topic);
      if (ids === null) of.ids = null;
      else for (const id of ids) of.ids?.add(id);
      if (of.ids && of.ids.size > maxIds) of.ids = null;
    },
    /** Anything of any account may have changed. */
    addEverything(): void {
      isEverything = true;
      marked = new Map();
    },
    isEmpty: (): boolean => !isEverything && marked.size === 0,
    /** Returns the changes since the last call, and forgets them. */
    take(): Map<string, Change> | 'everything' {
      const taken = new Map(
        [...marked].map(([accountId, { topics: changed, ids }]) => [
          accountId,
          { topics: [...changed], ids: ids && [...ids] },
        ]),
      );
      const result = isEverything ? 'everything' : taken;
      marked = new Map();
      isEverything = false;
      return result;
    },
  };
}

/** A message of one process to all. `watch`: accounts with a stream there; `by` and `number` identify the message. */
export type ChangeMessage =
  | { watch: readonly string[] | 'all'; by: string; number: number }
  | { changes: Readonly<Record<string, Change>> | 'all' };

/** PostgreSQL takes less than 8,000 bytes. */
const maxBytes = 7900;
const fits = (text: string) => Buffer.byteLength(text) <= maxBytes;

/** The message in as many bytes as a notification may have: without ids, or as one for all accounts, where it is longer. */
export function encodeMessage(message: ChangeMessage): string {
  const text = JSON.stringify(message);
  if (fits(text)) return text;
  if ('watch' in message) return JSON.stringify({ ...message, watch: 'all' });
  if (message.changes === 'all') return text;
  const withoutIds = JSON.stringify({
    changes: Object.fromEntries(
      Object.entries(message.changes).map(([accountId, change]) => [accountId, { ...change, ids: null }]),
    ),
  });
  return fits(withoutIds) ? withoutIds : JSON.stringify({ changes: 'all' });
}

/** Null: it is not a message of this service. */
export function decodeMessage(text: string): ChangeMessage | null {
  try {
    const message = JSON.parse(text) as Record<string, unknown> | null;
    return message && ('watch' in message || 'changes' in message) ? (message as ChangeMessage) : null;
  } catch {
    return null;
  }
}
