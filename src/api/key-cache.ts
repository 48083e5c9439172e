import { findApiKey, type ApiKey, type Environment } from '../db/api-keys.ts';
import type { Queryable } from '../db/pool.ts';
import { createLruMap } from '../domain/lru-map.ts';
import type { Scope } from '../security/api-keys.ts';
import { digestOfAuthorization, keyOrRefuse, requireScope } from './auth.ts';

export type Caller = {
  key: ApiKey;
  /** Reads the key again. @throws ApiError unauthorized or missing_scope where it is of no use any longer */
  confirm(): Promise<void>;
};

export type KeyCache = {
  /** @throws ApiError unauthorized */
  identify(authorization: string | undefined, scope: Scope): Promise<Caller>;
};

const maxKeys = 10_000;

/**
 * Remembers keys, by their digests, for calls whose statement looks at the key again, so that a revoked one is of no use
 * from that moment on. A call that ends otherwise must `confirm` before it answers.
 */
export function createKeyCache(db: Queryable, environment: Environment): KeyCache {
  const remembered = createLruMap<string, ApiKey>(maxKeys);

  async function read(digest: Buffer): Promise<ApiKey> {
    const name = digest.toString('latin1');
    const key = await findApiKey(db, digest, environment);
    if (key) remembered.set(name, key);
    else remembered.delete(name);
    return keyOrRefuse(key);
  }

  return {
    async identify(authorization, scope) {
      const digest = digestOfAuthorization(authorization);
      const known = remembered.get(digest.toString('latin1'));
      return {
        // It may have been given the scope since.
        key: known?.scopes.includes(scope) ? known : await read(digest),
        confirm: async () => requireScope(await read(digest), scope),
      };
    },
  };
}
