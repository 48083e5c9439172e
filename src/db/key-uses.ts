import { LRUCache } from 'lru-cache';
import { every } from '../every.ts';
import type { Queryable } from './pool.ts';

/** Between two writes for one key, by all processes together. */
const leastMs = 60_000;
/** How soon a first use is written. */
const writeMs = 5000;
const maxKeys = 10_000;
/** How long ago a use can be that is still written. */
const maxAgoMs = 86_400_000;

type Options = {
  db: Queryable;
  onError: (error: unknown) => void;
  /** Those above, for tests. */
  times?: { leastMs: number; writeMs: number };
};

export type KeyUses = ReturnType<typeof createKeyUses>;

/**
 * Remembers which keys are used and writes it now and then, many at once: no call waits for that, and one that uses a key
 * costs a look into memory. When a process dies, the uses that it has not written are lost.
 */
export function createKeyUses({ db, onError, times = { leastMs, writeMs } }: Options) {
  /** By the key's id: when it was used, in milliseconds since 1970. Not written yet. */
  let unwritten = new Map<string, number>();
  /** Written by this process, or found to be so recent that another process has. */
  const written = new LRUCache<string, true>({ max: maxKeys, ttl: times.leastMs });

  const add = (keyId: string, at: number): void => {
    if (written.has(keyId) || (unwritten.size >= maxKeys && !unwritten.has(keyId))) return;
    unwritten.set(keyId, at);
  };
  const write = async (): Promise<void> => {
    if (unwritten.size === 0) return;
    const uses = unwritten;
    unwritten = new Map();
    for (const keyId of uses.keys()) written.set(keyId, true);
    try {
      await recordKeyUses(db, uses, times.leastMs);
    } catch (error) {
      for (const [keyId, at] of uses) {
        written.delete(keyId);
        add(keyId, at);
      }
      throw error;
    }
  };
  const loop = every(
    times.writeMs,
    async () => {
      await write();
      return false;
    },
    onError,
  );
  return {
    add: (keyId: string): void => add(keyId, Date.now()),
    async close(): Promise<void> {
      await loop.close();
      await write();
    },
  };
}

/**
 * A key whose last use is more recent than `leastMs` ago keeps it, as does one that was revoked. A row that is locked is left
 * out: waiting for it could deadlock with a statement that revokes many keys.
 */
export async function recordKeyUses(
  db: Queryable,
  uses: ReadonlyMap<string, number>,
  leastMs: number,
): Promise<void> {
  const now = Date.now();
  await db.query(
    `with used as (
       select id, now() - make_interval(secs => ago / 1000.0) as at from unnest($1::text[], $2::int[]) as g(id, ago)),
     due as (
       select k.id, used.at from api_keys k join used using (id)
       where k.revoked_at is null
         and (k.last_used_at is null or k.last_used_at <= used.at - make_interval(secs => $3 / 1000.0))
       for no key update of k skip locked)
     update api_keys k set last_used_at = date_trunc('milliseconds', due.at) from due where k.id = due.id`,
    [[...uses.keys()], [...uses.values()].map((at) => Math.max(0, Math.min(now - at, maxAgoMs))), leastMs],
  );
}
