import { randomBytes, randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from './config.ts';
import type { EncryptionKey } from './setting-schemas.ts';
import { ensureAccount } from './db/accounts.ts';
import { replaceDevelopmentKey } from './db/api-keys-table.ts';
import { withTransaction, type Pool } from './db/pool.ts';
import { StartError } from './errors.ts';
import { digestOfKey, hintOfKey, newApiKey, accountScopes } from './security/api-keys.ts';

const developmentAccount = 'acc_development';

/** Reads a secret from a file of the data folder; creates it, with mode 0600, at the first start. */
async function readOrCreateSecret(dataDir: string, name: string, create: () => string): Promise<string> {
  const path = join(dataDir, name);
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const secret = create();
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  // Atomic: a half-written key would be unusable. If several processes start at once, all use the first one's.
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

/** The configured encryption keys, or in development the one in the data folder. @throws StartError */
export async function encryptionKeysFor(config: Config): Promise<EncryptionKey[]> {
  if (config.FLTR_ENCRYPTION_KEYS) return config.FLTR_ENCRYPTION_KEYS;
  const encoded = await readOrCreateSecret(config.FLTR_DATA_DIR, 'encryption-key', () =>
    randomBytes(32).toString('base64'),
  );
  const key = Buffer.from(encoded, 'base64');
  if (key.length !== 32) {
    throw new StartError(
      `${join(config.FLTR_DATA_DIR, 'encryption-key')} does not contain a base64 key of 32 bytes. Restore the file.`,
    );
  }
  return [{ id: 'development', key }];
}

/**
 * Makes the development key, with every scope of an account's key, the only key of its kind, and returns it. Null in production.
 *
 * @throws StartError if the key belongs to another account
 */
export async function developmentKeyFor(config: Config, pool: Pool): Promise<string | null> {
  if (config.FLTR_ENV === 'production') return null;
  const key = config.FLTR_DEV_KEY ?? (await readOrCreateSecret(config.FLTR_DATA_DIR, 'dev-key', newApiKey));
  await ensureAccount(pool, developmentAccount, 'Development');
  const isReplaced = await withTransaction(pool, (client) =>
    replaceDevelopmentKey(client, {
      accountId: developmentAccount,
      name: 'development',
      hint: hintOfKey(key),
      digest: digestOfKey(key),
      scopes: accountScopes,
    }),
  );
  if (!isReplaced)
    throw new StartError('FLTR_DEV_KEY is already an API key of another account. Choose another one.');
  return key;
}
