import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { sessionSettings } from '../../src/db/pool.ts';
import { packageRoot } from '../../src/package-root.ts';
import { startPgBouncer } from '../kit/pgbouncer.ts';
import { startProcess } from '../kit/process.ts';
import { startReceiver } from '../kit/test-receiver.ts';
import { startService, until, untilReady, type Service } from '../kit/service.ts';

let service: Service;
beforeEach(async () => {
  service = await startService({ LOG_LEVEL: 'warn' }, null);
});
afterEach(() => service.stop());

const guide = readFileSync(join(packageRoot, 'docs/operating.md'), 'utf8');
/** The guide's lines for pgbouncer.ini. */
const documented: Record<string, string> = Object.fromEntries(
  [...guide.matchAll(/^ +(pool_mode|ignore_startup_parameters|default_pool_size) = (.+)$/gm)].map(
    ([, name = '', value = '']) => [name, value],
  ),
);

/** The guide's statements, for this database. */
async function setForRole(): Promise<void> {
  const name = new URL(service.databaseUrl).pathname.slice(1);
  const statements = [...guide.matchAll(/^ +(alter role fltr in database fltr set (\w+).*);$/gm)];
  expect(new Set(statements.map(([, , setting]) => setting))).toEqual(
    new Set([...Object.keys(sessionSettings), 'statement_timeout']),
  );
  for (const [, statement = ''] of statements)
    await service.pool.query(statement.replace('in database fltr', `in database ${name}`));
}

async function bouncer(settings: Record<string, string>): Promise<string> {
  const { url, close } = await startPgBouncer(service.databaseUrl, settings);
  onTestFinished(close);
  return url;
}

async function refusal(databaseUrl: string, command: string): Promise<string> {
  const child = startProcess([command], { ...service.env, DATABASE_URL: databaseUrl });
  expect([await child.exited(), child.output()]).toEqual([1, expect.stringMatching(/^.+\n$/)]);
  expect(child.output()).toContain('PgBouncer with transaction pooling');
  expect(child.output()).toContain('connect to PostgreSQL directly, or use session pooling');
  return child.output();
}

test('PgBouncer with transaction pooling is refused at the start, in a sentence', async () => {
  const transactions = { ...documented, pool_mode: 'transaction' };
  const plain = await bouncer({ pool_mode: 'transaction' });
  for (const command of ['up', 'migrate'])
    expect(await refusal(plain, command)).toContain('unsupported startup parameter');
  const ignoring = await bouncer(transactions);
  expect(await refusal(ignoring, 'migrate')).toContain('drops the settings that a session starts with');
  await setForRole();
  const asDocumented = await bouncer(transactions);
  expect(await refusal(asDocumented, 'migrate')).toContain('prepared statements are missing');
});

test('PgBouncer with session pooling works as documented', async () => {
  await setForRole();
  const receiver = await startReceiver();
  onTestFinished(() => receiver.close());
  expect(documented['pool_mode']).toBe('session');
  const url = await bouncer(documented);
  const child = startProcess(['up'], { ...service.env, DATABASE_URL: url });
  onTestFinished(async () => {
    child.kill('SIGTERM');
    await child.exited();
  });
  await untilReady(service.apiUrl);
  await service.newWebhook(receiver.url);
  await Promise.all(Array.from({ length: 8 }, () => service.publish()));
  await until(
    () => receiver.requests.length,
    (count) => count === 8,
  );
});
