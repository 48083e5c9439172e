import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkEncryptionKeys } from '../../src/db/encryption-keys.ts';
import { isMigrated, migrate } from '../../src/db/migrate.ts';
import { createPool } from '../../src/db/pool.ts';
import { createSecretBox } from '../../src/security/secret-box.ts';
import { createTestDatabase, type TestDatabase } from '../kit/database.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await createTestDatabase();
});
afterEach(() => database.drop());

test('20 processes migrate one database at once: each migration is applied once', async () => {
  const pools = Array.from({ length: 20 }, () =>
    createPool({ databaseUrl: database.url, maxConnections: 1, onError: () => undefined }),
  );
  const applied = await Promise.all(pools.map(migrate));
  await Promise.all(pools.map((pool) => pool.end()));
  const { rows } = await database.pool.query<{ name: string }>(`select name from migrations order by name`);
  expect(rows.length).toBeGreaterThan(0);
  expect(applied.flat().sort()).toEqual(rows.map(({ name }) => name));
  expect(await isMigrated(database.pool)).toBe(true);
});

test('a database of a newer version is refused, with the remedy', async () => {
  await migrate(database.pool);
  await database.pool.query(`insert into migrations (name) values ('9999_future.sql')`);
  await expect(migrate(database.pool)).rejects.toThrow(
    /newer version \(9999_future\.sql\)\. Start that version/,
  );
});

test('a migration that fails leaves nothing half done, and no lock', async () => {
  await database.pool.query(`create table webhooks (id int)`);
  await expect(migrate(database.pool)).rejects.toThrow(/already exists/);
  const { rows } = await database.pool.query(
    `select 1 from pg_tables where schemaname = 'public' and tablename <> 'webhooks'`,
  );
  expect(rows).toEqual([]);
  await database.pool.query(`drop table webhooks`);
  expect((await migrate(database.pool)).length).toBeGreaterThan(0);
});

test('a missing or wrong encryption key stops the start with the remedy', async () => {
  await migrate(database.pool);
  const key = (id: string, fill: number) => ({ id, key: Buffer.alloc(32, fill) });
  await checkEncryptionKeys(database.pool, createSecretBox([key('old', 1)]));
  await checkEncryptionKeys(database.pool, createSecretBox([key('new', 2), key('old', 1)]));
  await expect(checkEncryptionKeys(database.pool, createSecretBox([key('new', 2)]))).rejects.toThrow(
    /lacks the key "old"/,
  );
  await expect(
    checkEncryptionKeys(database.pool, createSecretBox([key('old', 3), key('new', 2)])),
  ).rejects.toThrow(/the key "old" is not the one/);
});
