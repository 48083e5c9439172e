import type { Logger } from 'pino';
import type { Config } from './config.ts';
import { applySetting } from './db/applied-settings.ts';
import { checkEncryptionKeys } from './db/encryption-keys.ts';
import { openDatabase } from './db/open-database.ts';
import type { Pool } from './db/pool.ts';
import { checkAllQueues } from './db/queue-checks.ts';
import { encryptionKeysFor } from './development-secrets.ts';
import { createPayloadBox } from './security/payload-box.ts';
import { createSecretBox, type SecretBox } from './security/secret-box.ts';

/** To PostgreSQL, in the pool of each process. */
export const pooledConnections = 20;
/** To PostgreSQL, of each process: one more receives notifications of changes, and one relays the outbox in this database. */
export const connectionsOf = ({ FLTR_OUTBOX_URLS: outboxes }: Config): number =>
  pooledConnections + 1 + outboxes.filter(({ databaseUrl }) => databaseUrl === null).length;

/**
 * Connects to the database, migrates it, and makes it agree with the settings.
 *
 * @throws StartError, or PostgreSQL's error, where they do not fit together
 */
export async function prepareDatabase(
  config: Config,
  databaseUrl: string,
  log: Logger,
): Promise<{ pool: Pool; secretBox: SecretBox }> {
  const keys = await encryptionKeysFor(config);
  const payloads = createPayloadBox(keys, config.FLTR_ENCRYPT_PAYLOADS);
  const pool = await openDatabase({
    databaseUrl,
    payloads,
    maxConnections: pooledConnections,
    onError: (error) => log.warn({ err: error }, 'PostgreSQL closed an idle connection'),
    onMigrated: (migrations) => log.info({ migrations }, 'the database was migrated'),
  });
  try {
    const secretBox = createSecretBox(keys);
    await checkEncryptionKeys(pool, secretBox);
    await applySetting(pool, 'FLTR_HOLD_HOURS', String(config.FLTR_HOLD_HOURS));
    if (await applySetting(pool, 'FLTR_DELIVERIES_PER_HOUR', String(config.FLTR_DELIVERIES_PER_HOUR))) {
      await checkAllQueues(pool);
    }
    return { pool, secretBox };
  } catch (error) {
    await pool.end();
    throw error;
  }
}
