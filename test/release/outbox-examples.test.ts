import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { packageRoot } from '../../src/package-root.ts';
import { createTestDatabase, asAdmin, type TestDatabase } from '../kit/database.ts';
import { openClient } from '../kit/database-client.ts';
import { blocksOf } from '../kit/guides.ts';
import { countOf, install, logged, publishInto } from '../kit/outbox.ts';
import { startPgBouncer } from '../kit/pgbouncer.ts';
import { startProcess } from '../kit/process.ts';
import { call, startService, until, type Service } from '../kit/service.ts';

/** The examples and the SQL of docs/outbox.md, and producers and relays behind a PgBouncer with transaction pooling. */
const run = promisify(execFile);
const examples = join(packageRoot, 'examples/outbox');
let service: Service;
let shop: TestDatabase;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'fltr-outbox-examples-'));
  shop = await createTestDatabase();
  await install(shop.pool);
  service = await startService({ FLTR_OUTBOX_URLS: shop.url });
});
afterAll(async () => {
  await service.stop();
  await shop.drop();
  rmSync(folder, { recursive: true, force: true });
});

const untilEmpty = (db: TestDatabase['pool']) =>
  until(
    () => countOf(db, 'events'),
    (count) => count === 0,
  );

const prepared: [name: string, prepare: () => Promise<[command: string, args: string[]]>][] = [
  ['Node', () => Promise.resolve([process.execPath, [join(examples, 'node.mjs')]])],
  [
    'Python',
    async () => {
      const packages = readFileSync(join(examples, 'requirements.txt'), 'utf8').trim().split('\n');
      const venv = join(packageRoot, 'examples/flask/venv.mjs');
      const { stdout } = await run(process.execPath, [venv, ...packages]);
      return [stdout.trim(), [join(examples, 'sqlalchemy_outbox.py')]];
    },
  ],
  [
    'Go',
    async () => {
      const program = join(folder, 'outbox');
      const env = { ...process.env, GOFLAGS: '-mod=readonly -buildvcs=false' };
      await run('go', ['build', '-o', program, '.'], { cwd: join(examples, 'go'), env });
      return [program, []];
    },
  ],
];

test.each(prepared)(
  'the example in %s publishes with its commit, and nothing with its rollback',
  async (_name, prepare) => {
    const { accountId } = await service.newAccount();
    const [command, args] = await prepare();
    const env = {
      PATH: process.env['PATH'],
      DATABASE_URL: shop.url,
      ACCOUNT_ID: accountId,
      PYTHONDONTWRITEBYTECODE: '1',
    };
    const { stdout } = await run(command, args, { env, cwd: folder });
    const [, committed = '', rolledBack = ''] =
      /^committed (evt_\w+)\nrolled back (evt_\w+)\nsomething after it has failed\n$/.exec(stdout) ?? [];
    expect(committed, stdout).not.toBe('');
    await until(
      () => logged(service.pool, accountId),
      ({ length }) => length > 0,
    );
    await untilEmpty(shop.pool);
    expect(await logged(service.pool, accountId)).toEqual([committed]);
    expect(rolledBack).not.toBe(committed);
    expect(await countOf(shop.pool, 'refused')).toBe(0);
    const { rows } = await service.pool.query<{ body: Buffer }>('select body from events where id = $1', [
      committed,
    ]);
    const body = JSON.parse(String(rows[0]?.body)) as { data: { document_id: string } };
    const documents = await shop.pool.query<{ title: string }>('select title from documents where id = $1', [
      body.data.document_id,
    ]);
    expect(documents.rows).toEqual([{ title: 'Kept' }]);
    const lost = await shop.pool.query(`select from documents where title = 'Never saved'`);
    expect(lost.rowCount).toBe(0);
    const without = run(command, args, { env: { PATH: process.env['PATH'] }, cwd: folder });
    await expect(without).rejects.toMatchObject({
      stderr: expect.stringContaining('Set DATABASE_URL and ACCOUNT_ID.'),
    });
  },
);

test('the SQL of docs/outbox.md runs as it is shown', async () => {
  const key = await service.newKey({ accountId: null });
  const put = (path: string, body: object) => call(service.apiUrl, key, 'PUT', path, body);
  expect((await put('/v1/event-types/order.paid', { description: 'paid' })).status).toBe(201);
  expect((await put('/v1/accounts/acc_1', { name: 'One' })).status).toBe(201);
  await shop.pool.query('create table orders (id text primary key, total int not null)');
  for (const role of ['shop_app', 'fltr_relay']) {
    await asAdmin(`create role ${role}`);
    onTestFinished(async () => {
      await shop.pool.query(`drop owned by ${role}`);
      await asAdmin(`drop role ${role}`);
    });
  }
  const blocks = blocksOf('docs/outbox.md').filter(({ language }) => language === 'sql');
  expect(blocks).toHaveLength(4);
  for (const { text } of blocks) await shop.pool.query(text);
  expect(
    await until(
      () => logged(service.pool, 'acc_1'),
      ({ length }) => length > 0,
    ),
  ).toHaveLength(1);
});

test('producers and a relay work through PgBouncer with transaction pooling; two relays behind it repeat nothing', async () => {
  const other = await createTestDatabase();
  onTestFinished(() => other.drop());
  await install(other.pool);
  const { url, close } = await startPgBouncer(other.url, { pool_mode: 'transaction' });
  onTestFinished(close);
  const { accountId } = await service.newAccount();
  const relays = ['worker', 'worker'].map((command) =>
    startProcess([command], { ...service.env, FLTR_OUTBOX_URLS: url, LOG_LEVEL: 'info' }),
  );
  onTestFinished(async () => {
    for (const child of relays) child.kill('SIGKILL');
    await Promise.all(relays.map((child) => child.exited()));
  });

  const producers = await Promise.all([openClient(url), openClient(url)]);
  onTestFinished(async () => void (await Promise.all(producers.map((client) => client.end()))));
  const ids: string[] = [];
  for (let count = 0; count < 50; count += 1)
    for (const client of producers) {
      await client.query('begin');
      ids.push(await publishInto(client, accountId));
      await client.query('commit');
    }
  await until(
    () => logged(service.pool, accountId),
    ({ length }) => length >= ids.length,
  );
  await untilEmpty(other.pool);
  expect((await logged(service.pool, accountId)).toSorted()).toEqual(ids.toSorted());
  relays[0]?.kill('SIGKILL');
  await relays[0]?.exited();
  const last = await publishInto(other.pool, accountId);
  await until(
    () => logged(service.pool, accountId),
    (found) => found.includes(last),
  );
});
