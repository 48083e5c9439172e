import { randomBytes, randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from './config.ts';
import type { EncryptionKey } from './setting-schemas.ts';
import { ensureAccount } from './db/accounts.ts';
import { replaceDevelopmentKey } from './db/api-keys-table.ts';
import { withTransaction, type Pool } from './db/pool.ts';
import { StartError } from './errors.ts';
import { digestOfKey, hintOfKey, newApiKey, scopes } from './security/api-keys.ts';

const developmentAccount = 'acc_development';

/** What a file of the data folder holds; made by `make` at the first start, readable by its owner alone. */
async function keptSecret(dataDir: string, name: string, make: () => string): Promise<string> {
  const path = join(dataDir, name);
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const secret = make();
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  // Whole or not at all: a half-written key would lock its owner out. Of several processes that start at once the first
  // one's stays, and all take that.
  const draft = `${path}.${randomUUID()}`;
  await writeFile(draft, `${secret}\n`, { mode: 0o600 });
  try {
    await link(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(draft);
  }
  return (await readFile(path, 'utf8')).trim();
}

/** The configured encryption keys, or in development the one kept in the data folder. @throws StartError */
export async function encryptionKeysFor(config: Config): Promise<EncryptionKey[]> {
  if (config.FLTR_ENCRYPTION_KEYS) return config.FLTR_ENCRYPTION_KEYS;
  const encoded = await keptSecret(config.FLTR_DATA_DIR, 'encryption-key', () =>
    randomBytes(32).toString('base64'),
  );
  const key = Buffer.from(encoded, 'base64');
  if (key.length !== 32) {
    throw new StartError(
      `${join(config.FLTR_DATA_DIR, 'encryption-key')} does not hold a key of 32 bytes in base64. Restore it.`,
    );
  }
  return [{ id: 'development', key }];
}

/**
 * The development account's key with every scope, valid from now on, in place of the one before it. Null in production.
 *
 * @throws StartError where the key is another account's
 */
export async function developmentKeyFor(config: Config, pool: Pool): Promise<string | null> {
  if (config.FLTR_ENV === 'production') return null;
  const key = config.FLTR_DEV_KEY ?? (await keptSecret(config.FLTR_DATA_DIR, 'dev-key', newApiKey));
  await ensureAccount(pool, developmentAccount, 'Development');
  const isMade = await withTransaction(pool, (client) =>
    replaceDevelopmentKey(client, {
      accountId: developmentAccount,
      name: 'development',
      hint: hintOfKey(key),
      digest: digestOfKey(key),
      scopes,
    }),
  );
  if (!isMade)
    throw new StartError('FLTR_DEV_KEY holds an API key that was made for an account. Choose another one.');
  return key;
}
