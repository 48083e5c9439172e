import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, inject, onTestFinished, test } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { choosePort } from '../../src/embedded/free-port.ts';
import { describePortFault } from '../../src/require-ports.ts';
import { createTemporal, prepareNamespace } from '../../src/temporal/client.ts';
import { asAdmin } from '../kit/database.ts';
import { startProcess } from '../kit/process.ts';
import { until } from '../kit/service.ts';

/** Ends with a sentence and without a stack. */
async function refusal(more: Record<string, string>): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'fltr-start-faults-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const child = startProcess(['up'], {
    FLTR_DATA_DIR: join(folder, '.fltr'),
    PORT: String(await choosePort('127.0.0.1', [])),
    TEMPORAL_ADDRESS: '127.0.0.1:1',
    ...more,
  });
  expect(await child.exited()).not.toBe(0);
  const output = child.output();
  expect(output).not.toContain('    at ');
  // On a Node that is not the pinned one, the first line reports it.
  return output.replace(/^Running on Node .*\n/, '').trim();
}

test('an address that this machine does not have is no port in use', async () => {
  const databaseUrl = inject('adminDatabaseUrl');
  for (const [host, sentence] of [
    // Of a network for documentation.
    ['192.0.2.1', '192.0.2.1 is not an address of this machine. Set HOST to one of its addresses'],
    ['nohost.invalid', 'The host name nohost.invalid cannot be resolved. Set HOST to'],
  ] as const)
    expect(await refusal({ HOST: host, DATABASE_URL: databaseUrl })).toContain(sentence);
});

test.each([
  [
    'EADDRINUSE',
    'Port 80 on ::1 is already in use. Set PORT to a free port, or stop the program that uses it.',
  ],
  ['EAFNOSUPPORT', '::1 is not an address of this machine. Set HOST to'],
  ['EACCES', 'This user may not listen on port 80. Set PORT to 1024 or higher, or grant the right'],
  ['EMFILE', 'The service cannot listen on port 80 of ::1 (EMFILE). Check PORT and HOST.'],
])('a port that fails with %s', (code, sentence) => {
  const address = { host: '::1', port: 80, name: 'PORT', hostName: 'HOST' };
  expect(describePortFault(code, address)).toContain(sentence);
});

test('an IPv6 address may stand in brackets', () => {
  expect(readConfig({ HOST: '[::1]' }).HOST).toBe('::1');
});

test('a database that cannot be used is described in one sentence, with the remedy', async () => {
  const url = (change: (url: URL) => void): string => {
    const changed = new URL(inject('adminDatabaseUrl'));
    change(changed);
    return changed.href;
  };
  const free = await choosePort('127.0.0.1', []);
  const user = `u${randomUUID().replaceAll('-', '')}`;
  await asAdmin(`create role ${user} login password 'right'`);
  onTestFinished(() => asAdmin(`drop role ${user}`));
  const as = (password: string) =>
    url((changed) => {
      changed.username = user;
      changed.password = password;
    });
  for (const [databaseUrl, sentence] of [
    [
      as('wrong'),
      /^PostgreSQL does not accept the password \(.*\)\. Correct user name and password in DATABASE_URL\.$/,
    ],
    [as(''), /^PostgreSQL requires a password \(.*\)\. Add it to DATABASE_URL\.$/],
    [
      url((changed) => (changed.pathname = '/no_such_database')),
      /^The database that DATABASE_URL names does not exist \(.*\)\. Create it with `createdb`, or correct the name\.$/,
    ],
    [
      url((changed) => (changed.port = String(free))),
      /^Nothing listens at the host and port in DATABASE_URL \(.*\)\. Start PostgreSQL, or correct host and port\.$/,
    ],
    [
      url((changed) => (changed.hostname = 'nohost.invalid')),
      /^The host in DATABASE_URL cannot be found.* \(.*nohost\.invalid.*\)\. Correct its name/,
    ],
  ] as const)
    expect(await refusal({ DATABASE_URL: databaseUrl })).toMatch(sentence);
});

test.each([
  'postgres://user:pa#ss@localhost/fltr',
  'postgres://user:12#3@localhost/fltr',
  'postgres://user:12/3@localhost/fltr',
  'postgres://user:pa%ss@localhost/fltr',
  'postgres://user:pass@localhost:99999/fltr',
])('%s is refused with the remedy', (databaseUrl) => {
  expect(() => readConfig({ DATABASE_URL: databaseUrl })).toThrow(
    /DATABASE_URL is not a URL like .*check the port, and percent-encode special characters .*# as %23/,
  );
});

test.each(['postgres://user:p%23ss@localhost:5432/fltr', 'postgresql:///fltr?host=/run/postgresql'])(
  '%s is a valid DATABASE_URL',
  (databaseUrl) => {
    expect(readConfig({ DATABASE_URL: databaseUrl }).DATABASE_URL).toBe(databaseUrl);
  },
);

test('a namespace that Temporal does not have, and an address where it is not, are named with their settings', async () => {
  const free = await choosePort('127.0.0.1', []);
  for (const [address, sentence] of [
    [
      inject('temporalAddress'),
      /^Temporal does not have the namespace "no-such" \(.*\): check TEMPORAL_NAMESPACE, or create it with `temporal operator namespace create no-such`/,
    ],
    [
      `127.0.0.1:${free}`,
      /^Temporal cannot be reached \(.*\): it may still be starting, else check TEMPORAL_ADDRESS/,
    ],
  ] as const) {
    const lines: string[] = [];
    const log = pino({ level: 'warn' }, { write: (line) => void lines.push(line) });
    const temporal = createTemporal({ address, tls: false }, 'no-such');
    const ready = prepareNamespace(temporal, log);
    await until(() => lines.length, Boolean);
    await ready.close();
    await temporal.connection.close();
    expect((JSON.parse(lines[0] ?? '') as { msg: string }).msg).toMatch(sentence);
  }
});
