import { LRUCache } from 'lru-cache';
import { findApiKey, type ApiKey, type Environment } from '../db/api-keys-table.ts';
import type { Queryable } from '../db/pool.ts';
import type { Scope } from '../security/api-keys.ts';
import { digestOfAuthorization, requireKey, requireScope } from './auth.ts';

export type Caller = {
  key: ApiKey;
  /** Reads the key again. @throws ApiError unauthorized or missing_scope */
  confirm(): Promise<void>;
};

export type KeyCache = ReturnType<typeof createKeyCache>;

const maxKeys = 10_000;

/**
 * Caches keys by their digests, for calls whose statement checks the key again, so that revoking a key takes effect at once.
 * A call that runs no such statement must `confirm` the key before it responds.
 */
export function createKeyCache(db: Queryable, environment: Environment) {
  const cached = new LRUCache<string, ApiKey>({ max: maxKeys });

  async function read(digest: Buffer): Promise<ApiKey> {
    const name = digest.toString('latin1');
    const key = await findApiKey(db, digest, environment);
    if (key) cached.set(name, key);
    else cached.delete(name);
    return requireKey(key);
  }

  return {
    /** @throws ApiError unauthorized */
    async identify(authorization: string | undefined, scope: Scope | null): Promise<Caller> {
      const digest = digestOfAuthorization(authorization);
      const known = cached.get(digest.toString('latin1'));
      return {
        key: known && (scope === null || known.scopes.includes(scope)) ? known : await read(digest),
        confirm: async () => requireScope(await read(digest), scope),
      };
    },
  };
}
