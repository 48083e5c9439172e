import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { runInProcess } from '../kit/command.ts';
import { createTestDatabase, type TestDatabase } from '../kit/database.ts';
import { countOf, newRole, publishInto } from '../kit/outbox.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await createTestDatabase();
});
afterEach(() => database.drop());

const outbox = (...command: string[]) =>
  runInProcess(['outbox', ...command, '--database', database.url], { DATABASE_URL: 'postgres://nowhere/x' });

test('an outbox is installed, installed again with its events, and removed only when it is empty', async () => {
  expect(await outbox('status')).toEqual({
    code: 3,
    output: 'There is no outbox in this database: `fltr-webhooks outbox install` makes it.\n',
  });
  expect(await outbox('install')).toMatchObject({ code: 0 });
  await publishInto(database.pool, 'acc_1');
  expect(await outbox('install')).toMatchObject({ code: 0 });
  expect((await outbox('status')).output).toMatch(/^waiting +1\noldest \(s\) +\d+\nrefused +0\nrelay +none/);
  expect(await outbox('refused')).toEqual({ code: 0, output: 'No event was refused.\n' });
  expect(await outbox('uninstall')).toEqual({
    code: 1,
    output: expect.stringContaining('holds 1 events that were not relayed and 0 that were refused'),
  });
  await database.pool.query('create view theirs as select id from fltr_outbox.events');
  expect(await outbox('uninstall', '--drop-events')).toMatchObject({ code: 1 });
  expect(await countOf(database.pool, 'events')).toBe(1);
  await database.pool.query('drop view theirs');
  expect(await outbox('uninstall', '--drop-events')).toEqual({ code: 0, output: 'The outbox is removed.\n' });
  expect(await outbox('uninstall')).toMatchObject({ code: 3 });
});

test('a schema, or a table in it, that belongs to another role is not used: its owner could change the functions', async () => {
  const role = await newRole(database.url);
  onTestFinished(role.end);
  const name = new URL(database.url).pathname.slice(1);
  await database.pool.query(`grant create on database ${name} to ${role.name}`);
  await role.client.query('create schema fltr_outbox');
  const refused = { code: 1, output: expect.stringContaining(`belongs to the role ${role.name}`) };
  expect(await outbox('install')).toEqual(refused);
  await role.client.query('drop schema fltr_outbox');
  await database.pool.query(
    `create schema fltr_outbox; create table fltr_outbox.events (); alter table fltr_outbox.events owner to ${role.name}`,
  );
  expect(await outbox('install')).toEqual(refused);
  await database.pool.query('drop schema fltr_outbox cascade');
  expect(await outbox('install')).toMatchObject({ code: 0 });
});

test('a database that is no URL, or is away, has a clear error', async () => {
  const run = (url: string) => runInProcess(['outbox', 'status', '--database', url], {});
  expect(await run('shop')).toEqual({ code: 2, output: expect.stringContaining('is not a URL like') });
  expect(await run('postgres://u:secret@127.0.0.1:1/shop')).toEqual({
    code: 5,
    output: expect.not.stringContaining('secret'),
  });
});
