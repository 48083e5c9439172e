import { randomUUID } from 'node:crypto';
import { everyChange, maxChangedIds, type Change, type Topic } from '../contracts/change.ts';
import { createChangeSet, decodeMessage, encodeMessage, type ChangeMessage } from '../domain/change-set.ts';
import { notifyStatement, openChangeChannel } from './change-channel.ts';
import { arrayOfUnknownLength } from './columns.ts';
import type { Pool, Queryable } from './pool.ts';

/** Changes within this are sent as one message: at most 4 a second from each process. */
const collectMs = 250;
/** After one that could not be sent. */
const retryMs = 1000;
/** How often a process announces which accounts have a stream there, and how long others count on it. */
const announceMs = 10_000;
const announceSoonMs = 20;
const watchedMs = 30_000;
/** Of changes that are not sent yet. */
const maxAccounts = 1000;
/** Of those whose account is not known yet. */
const maxTouched = 1000;

export type ChangeListener = {
  onChange: (accountId: string, change: Change) => void;
  /** Changes may be missed from now on: a listener that relies on them must read again. */
  onLost: () => void;
};

export type Changes = Awaited<ReturnType<typeof openChanges>>;
/** For code that changes rows: to report the change after the commit. It costs next to nothing while nobody watches. */
export type MarkChanges = Pick<Changes, 'mark' | 'touch'>;

type Send = (message: ChangeMessage) => Promise<void>;
type OnError = (error: unknown) => void;
/** `onError`: the connection was lost, or something could not be sent. */
type Options = { pool: Pool; databaseUrl: string; onError: OnError };

/**
 * Reports changes to all processes, by PostgreSQL's NOTIFY. A notification takes a lock at its commit, so
 * it is never sent with the transaction that makes the change, but a little later and for many changes at once; and only
 * while a process has a stream of the account. These are hints: when a process dies, the changes that it has not sent are lost.
 */
export async function openChanges({ pool, databaseUrl, onError }: Options) {
  const listeners: ChangeListener[] = [];
  let isConnected = (): boolean => false;
  const watched = createWatched(() => isConnected());
  const send: Send = async (message) => {
    await pool.query({ ...notifyStatement, values: [encodeMessage(message)] });
  };
  const own = createOwnAccounts(send, onError);
  const sender = createSender({ pool, send, watched, onError });
  const channel = await openChangeChannel({
    databaseUrl,
    onMessage(text) {
      const message = decodeMessage(text);
      if (!message) return;
      if ('watch' in message) {
        watched.add(message.watch);
        own.heard(message);
        return;
      }
      for (const accountId of own.accounts()) {
        const change = message.changes === 'all' ? everyChange : message.changes[accountId];
        if (change) for (const { onChange } of listeners) onChange(accountId, change);
      }
    },
    onConnected() {
      watched.expectAll();
      own.announceSoon();
    },
    onLost(error) {
      onError(error);
      for (const { onLost } of listeners) onLost();
    },
  });
  ({ isConnected } = channel);
  return {
    mark: sender.mark,
    touch: sender.touch,
    isConnected: channel.isConnected,
    listen(to: ChangeListener): void {
      listeners.push(to);
    },
    watch: own.watch,
    unwatch: own.unwatch,
    async close(): Promise<void> {
      sender.close();
      own.close();
      await channel.close();
    },
  };
}

type Watched = ReturnType<typeof createWatched>;

/** The accounts with a stream in any process. Without a connection that is not known: then all count as such. */
function createWatched(isConnected: () => boolean) {
  const watchedUntil = new Map<string, number>();
  let allUntil = 0;
  const areAll = () => performance.now() < allUntil || !isConnected();
  return {
    add(accountIds: readonly string[] | 'all'): void {
      const now = performance.now();
      for (const [accountId, until] of watchedUntil) if (until < now) watchedUntil.delete(accountId);
      if (accountIds === 'all') allUntil = now + watchedMs;
      else for (const accountId of accountIds) watchedUntil.set(accountId, now + watchedMs);
    },
    /** Until the other processes have announced their accounts. */
    expectAll(): void {
      allUntil = performance.now() + 1.5 * announceMs;
    },
    has: (accountId: string): boolean => (watchedUntil.get(accountId) ?? 0) > performance.now() || areAll(),
    isEmpty: (): boolean => watchedUntil.size === 0 && !areAll(),
  };
}

/** The accounts with a stream in this process, which it makes known. */
function createOwnAccounts(send: Send, onError: OnError) {
  const by = randomUUID();
  const counts = new Map<string, number>();
  let lastNumber = 0;
  let waiting: { number: number; resolve: () => void }[] = [];
  let timer: NodeJS.Timeout | undefined;
  const announce = async (): Promise<void> => {
    timer = undefined;
    lastNumber += 1;
    await send({ watch: [...counts.keys()], by, number: lastNumber }).catch(onError);
  };
  const announceSoon = (): void => {
    if (counts.size > 0) timer ??= setTimeout(() => void announce(), announceSoonMs);
  };
  const announcing = setInterval(announceSoon, announceMs).unref();
  return {
    announceSoon,
    accounts: () => counts.keys(),
    heard(message: { by: string; number: number }): void {
      if (message.by !== by) return;
      for (const each of waiting) if (each.number <= message.number) each.resolve();
      waiting = waiting.filter(({ number }) => number > message.number);
    },
    /**
     * Receives an account's changes, until `unwatch` is called as often.
     *
     * @returns a promise that resolves when every process knows; earlier changes must be read after it
     */
    watch(accountId: string): Promise<void> {
      counts.set(accountId, (counts.get(accountId) ?? 0) + 1);
      const known = Promise.withResolvers<void>();
      waiting.push({ number: lastNumber + 1, resolve: known.resolve });
      announceSoon();
      return known.promise;
    },
    unwatch(accountId: string): void {
      const left = (counts.get(accountId) ?? 1) - 1;
      if (left > 0) counts.set(accountId, left);
      else counts.delete(accountId);
      if (counts.size === 0) waiting = [];
    },
    close(): void {
      clearInterval(announcing);
      clearTimeout(timer);
    },
  };
}

type SenderOptions = { pool: Pool; send: Send; watched: Watched; onError: OnError };

/** Collects changes, and sends those of watched accounts. */
function createSender({ pool, send, watched, onError }: SenderOptions) {
  const pending = createChangeSet({ maxAccounts, maxIds: maxChangedIds });
  let touched = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  const flush = async (): Promise<void> => {
    const ids = [...touched];
    touched = new Set();
    let afterMs = collectMs;
    try {
      const owners = ids.length === 0 ? [] : await findOwners(pool, ids);
      for (const { accountId, topics, id } of owners)
        if (watched.has(accountId)) pending.add(accountId, topics, [id]);
      const taken = pending.take();
      if (taken === 'everything') await send({ changes: 'all' });
      else if (taken.size > 0) await send({ changes: Object.fromEntries(taken) });
    } catch (error) {
      // These changes are lost, so the next message has to say that anything may have changed.
      pending.addEverything();
      afterMs = retryMs;
      onError(error);
    } finally {
      timer = undefined;
      if (touched.size > 0 || !pending.isEmpty()) flushSoon(afterMs);
    }
  };
  const flushSoon = (afterMs = collectMs): void => {
    if (!isClosed) timer ??= setTimeout(() => void flush(), afterMs);
  };
  return {
    /** Rows of an account have changed. */
    mark(accountId: string, topics: readonly Topic[], ids: readonly string[] | null): void {
      if (isClosed || !watched.has(accountId)) return;
      pending.add(accountId, topics, ids);
      flushSoon();
    },
    /** Deliveries, webhooks or operations with these ids have changed; their accounts are looked up. */
    touch(...ids: readonly string[]): void {
      if (isClosed || ids.length === 0 || watched.isEmpty()) return;
      for (const id of ids) {
        if (touched.size < maxTouched) touched.add(id);
        else pending.addEverything();
      }
      flushSoon();
    },
    close(): void {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}

/**
 * The accounts of deliveries, webhooks and operations. A webhook's state changes those of its deliveries, and may be an event of
 * the service itself; an operation changes deliveries, too.
 */
export async function findOwners(db: Queryable, ids: readonly string[]) {
  const ofParameter = (parameter: number) => `id = any(${arrayOfUnknownLength(parameter, 'text')}::text[])`;
  const isDelivery = (id: string) => id.startsWith('dlv_');
  const isWebhook = (id: string) => id.startsWith('wh_');
  const { rows } = await db.query<{ accountId: string; topics: Topic[]; id: string }>({
    name: 'find-owners-of-changes',
    text: `select account_id as "accountId", '{deliveries}'::text[] as topics, id from deliveries where ${ofParameter(1)}
      union all
      select account_id, '{webhooks,deliveries,events}', id from webhooks where ${ofParameter(2)}
      union all
      select account_id, '{operations,deliveries}', id from operations where ${ofParameter(3)}`,
    values: [
      ids.filter(isDelivery),
      ids.filter(isWebhook),
      ids.filter((id) => !isDelivery(id) && !isWebhook(id)),
    ],
  });
  return rows;
}
