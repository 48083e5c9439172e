import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { openApiDocument } from '../../src/api/openapi.ts';
import { packageRoot } from '../../src/package-root.ts';
import { runInProcess } from '../kit/command.ts';
import { startProcess } from '../kit/process.ts';
import { startService, type Service } from '../kit/service.ts';

/** The parts that scripts and shells rely on: exit codes, colors, completion; and nothing of the API is missing. */
const runProgram = promisify(execFile);
let service: Service;
let folder: string;
beforeAll(async () => {
  service = await startService();
  folder = mkdtempSync(join(tmpdir(), 'fltr-command-line-'));
});
afterAll(async () => {
  await service.stop();
  rmSync(folder, { recursive: true });
});

async function run(command: string[], env: Record<string, string> = {}): Promise<[number, string]> {
  const { code, output } = await runInProcess(command, settings(env));
  return [code, output];
}

/** As a process of its own, for effects that only a process shows. */
async function start(command: string[], env: Record<string, string>): Promise<[number | null, string]> {
  const child = startProcess(command, env);
  return [await child.exited(), child.output()];
}

const settings = (more: Record<string, string> = {}) => ({
  FLTR_API_URL: service.apiUrl,
  FLTR_API_KEY: service.key,
  FLTR_DATA_DIR: folder,
  ...more,
});

test('open prints a link that signs in once, and hands it to the browser', async () => {
  const [code, output] = await run(['open']);
  const url = output.trim();
  expect([code, url]).toEqual([
    0,
    expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/sign-in#token=[\w-]{43}$/),
  ]);
  const signIn = () =>
    fetch(`${service.apiUrl}/session`, {
      method: 'POST',
      headers: { 'x-fltr-dashboard': '1' },
      body: JSON.stringify({ token: url.split('#token=')[1] }),
    });
  expect([(await signIn()).status, (await signIn()).status]).toEqual([200, 401]);

  // On Linux `xdg-open` opens a browser; this one writes its arguments to a file.
  const programs = mkdtempSync(join(folder, 'programs-'));
  const opened = join(programs, 'opened');
  writeFileSync(join(programs, 'xdg-open'), `#!/bin/sh\nprintf '%s|' "$@" > ${opened}\n`, { mode: 0o700 });
  const [openedCode, link] = await start(
    ['open', '--browser'],
    settings({ PATH: `${programs}:${process.env['PATH']}` }),
  );
  expect([openedCode, readFileSync(opened, 'utf8')]).toEqual([0, `${link.trim()}|`]);
  rmSync(join(programs, 'xdg-open'));
  const [failed, words] = await start(['open', '--browser'], settings({ PATH: programs }));
  expect([failed, words]).toEqual([1, expect.stringContaining('Open the link above yourself.')]);
  const [refused, why] = await run(['open'], { FLTR_API_KEY: 'nonsense' });
  expect([refused, why]).toEqual([4, expect.stringContaining('API key')]);
});

test('the development key is sent to no other machine, a key that is given is', async () => {
  const seen: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    seen.push(request.headers.authorization);
    response.setHeader('content-type', 'application/json').end('{"data":[],"next_cursor":null}');
  });
  // Loopback, but no address that a service here is called by.
  server.listen(0, '127.0.0.2');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const elsewhere = `http://127.0.0.2:${port}`;
  const dataDir = mkdtempSync(join(tmpdir(), 'fltr-kept-key-'));
  onTestFinished(() => rmSync(dataDir, { recursive: true }));
  writeFileSync(join(dataDir, 'dev-key'), 'a-development-key-that-is-kept\n');
  const env = { FLTR_API_URL: '', FLTR_API_KEY: '', FLTR_DATA_DIR: dataDir };
  for (const [command, more] of [
    [['webhooks', 'list'], { FLTR_API_URL: elsewhere }],
    [['webhooks', 'list', '--api-url', elsewhere], { FLTR_DEV_KEY: 'a-development-key-of-the-settings' }],
  ] as const) {
    const [code, output] = await run([...command], { ...env, ...more });
    expect([code, output]).toEqual([
      4,
      expect.stringContaining('The development key is only sent to this machine'),
    ]);
  }
  expect(seen).toEqual([]);
  expect((await run(['webhooks', 'list', '--api-url', elsewhere, '--key', 'given'], env))[0]).toBe(0);
  expect((await run(['webhooks', 'list', '--api-url', elsewhere], { ...env, FLTR_API_KEY: 'set' }))[0]).toBe(
    0,
  );
  expect(seen).toEqual(['Bearer given', 'Bearer set']);
  // The service here gets it.
  const kept = { ...env, FLTR_DATA_DIR: service.dataDir };
  const url = service.apiUrl.replace('127.0.0.1', 'localhost');
  expect((await run(['webhooks', 'list', '--api-url', url], kept))[0]).toBe(0);
});

test('a foreign name cannot control the terminal that lists it, and no such name is created', async () => {
  const hostile = '\u001b]0;PWNED\u0007\u001b[2J\u001b[31mhello\r\nkey_x  fltr_fake\u202e\u009b1m\u2028';
  const { rows } = await service.pool.query<{ id: string }>(
    `insert into accounts (id, name) values ('acc_hostile', $1) returning id`,
    [hostile],
  );
  await service.pool.query(
    `insert into api_keys (id, account_id, name, hint, digest, scopes)
     values ('key_hostile', 'acc_hostile', $1, $1, '\\x00', '{events:write}')`,
    [hostile],
  );
  const { webhook_id: id } = await service.newWebhook('https://example.com/');
  await service.pool.query(`update webhooks set description = $1 where id = $2`, [hostile, id]);
  const serviceKey = await service.newKey({ accountId: null });
  const database = { DATABASE_URL: service.databaseUrl };
  for (const command of [
    ['accounts', 'list', '--key', serviceKey],
    ['accounts', 'show', 'acc_hostile', '--key', serviceKey],
    ['keys', 'list'],
    ['webhooks', 'show', id],
    ['webhooks', 'show', id, '--json'],
  ]) {
    const [code, output] = await run(command, database);
    expect([code, output]).toEqual([0, expect.stringContaining('PWNED')]);
    expect(output).not.toMatch(/[^\P{Cc}\n]|[\p{Zl}\p{Zp}\p{Bidi_Control}]/u);
    expect(output).not.toMatch(/^key_x/m);
  }
  for (const command of [
    ['accounts', 'put', 'acc_new', '--name', hostile, '--key', serviceKey],
    ['accounts', 'put', 'acc_new', '--name', '', '--key', serviceKey],
    ['keys', 'create', '--account', rows[0]?.id ?? '', '--name', hostile],
  ])
    expect(await run(command, database)).toEqual([2, expect.stringMatching(/name/i)]);
  const count = await service.pool.query(`select 1 from api_keys where account_id = 'acc_hostile'`);
  expect(count.rows).toHaveLength(1);
  await service.call('DELETE', `/v1/webhooks/${id}`);
});

describe('exit codes', () => {
  const says = (text: string) => expect.stringContaining(text);

  test('exit code 0 means done', async () => {
    expect(await run(['webhooks', 'list'])).toEqual([0, says('No webhooks.')]);
    expect(await run(['--help'])).toEqual([0, says('5  the service or its database is unavailable')]);
    expect(await run(['help', 'deliveries'])).toEqual([0, says('reschedule')]);
    expect(await start(['--version'], {})).toEqual([0, expect.stringMatching(/^\d+\.\d+\.\d+\S*\n$/)]);
  });

  test('exit code 1 means that the service refused the call', async () => {
    const data = JSON.stringify({ document_id: 'doc_1', dataset_id: 'ds_1' });
    const send = ['events', 'send', 'document.deleted', '--id', 'evt_taken', '--data'];
    expect((await run([...send, data]))[0]).toBe(0);
    expect(await start([...send, data.replace('doc_1', 'doc_2')], settings())).toEqual([
      1,
      says('evt_taken'),
    ]);
  });

  test.each([
    ['an unknown command', ['deliverys', 'list'], 'Did you mean deliveries?'],
    ['an unknown subcommand', ['deliveries', 'lists'], 'Did you mean list?'],
    ['no subcommand', ['deliveries'], 'Usage: fltr-webhooks deliveries'],
    ['an unknown option', ['deliveries', 'list', '--statsu', 'failed'], 'Did you mean --status?'],
    [
      'a value that is none of those',
      ['deliveries', 'list', '--status', 'fine'],
      'Allowed choices are pending',
    ],
    ['no argument', ['deliveries', 'show'], "missing required argument 'id'"],
    [
      'a missing option',
      ['webhooks', 'create', '--url', 'http://localhost:1'],
      "'--events <list>' not specified",
    ],
    ['a file that is not there', ['events', 'send-batch', '/nowhere/file'], 'Cannot read /nowhere/file'],
    [
      'a value that the service does not take',
      ['webhooks', 'create', '--url', 'ftp://x', '--events', '*'],
      'https',
    ],
    [
      'a limit out of range',
      ['deliveries', 'list', '--limit', '101'],
      'limit must be a whole number from 1 to 100',
    ],
  ])('2: %s', async (_name, command, text) => {
    expect(await run(command)).toEqual([2, says(text)]);
  });

  test('exit code 2 means invalid input, with each fault once and in plain words', async () => {
    const id = ['--data', '{"document_id":"d"}'];
    expect(await run(['events', 'send', 'document.processed', ...id])).toEqual([
      2,
      'dataset_id is missing.\n',
    ]);
    expect(await run(['deliveries', 'list', '--since', 'yesterday'])).toEqual([
      2,
      'since must be a time such as 2024-01-10T12:01:30Z or 2024-01-10T13:01:30+01:00.\n',
    ]);
    const { webhook_id: webhook } = await service.newWebhook('http://localhost:1');
    expect(await run(['webhooks', 'update', webhook])).toEqual([
      2,
      'The body must change at least one field.\n',
    ]);
  });

  test("exit code 2 is also that of a call without a service's address", async () => {
    const alone = await start(['webhooks', 'list'], { FLTR_DATA_DIR: folder });
    expect(alone).toEqual([2, says('No service found. Set --api-url')]);
  });

  test("exit code 3 means that it does not exist, or is another account's", async () => {
    const absent = await start(['webhooks', 'show', 'wh_none'], settings());
    expect(absent).toEqual([3, 'There is no such webhook.\n']);
    const { webhook_id: id } = await service.newWebhook('http://localhost:1');
    const { key } = await service.newAccount();
    expect(await run(['webhooks', 'show', id, '--key', key])).toEqual([3, 'There is no such webhook.\n']);
    const database = { DATABASE_URL: service.databaseUrl };
    expect(await run(['keys', 'revoke', 'key_none'], database)).toEqual([3, says('No active key key_none')]);
  });

  test('exit code 4 means no key, an unknown one, or one without the scope', async () => {
    const keyless = await start(['webhooks', 'list'], {
      FLTR_API_URL: service.apiUrl,
      FLTR_DATA_DIR: folder,
    });
    expect(keyless).toEqual([4, says('No API key')]);
    expect((await run(['webhooks', 'list', '--key', 'fltr_unknown']))[0]).toBe(4);
    const reader = await service.newKey({ accountId: service.accountId, scopes: ['webhooks:read'] });
    expect(
      (await run(['webhooks', 'create', '--url', 'http://localhost:1', '--events', '*', '--key', reader]))[0],
    ).toBe(4);
  });

  test('exit code 5 means that nothing listens, another server responds, or the database is down', async () => {
    expect(await run(['webhooks', 'list', '--api-url', 'http://127.0.0.1:1'])).toEqual([
      5,
      says('no response from http://127.0.0.1:1'),
    ]);
    const other = createServer((_request, response) => response.writeHead(404).end('nginx'));
    other.listen(0, '127.0.0.1');
    await once(other, 'listening');
    onTestFinished(() => void other.close());
    const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
    expect(await run(['webhooks', 'list', '--api-url', url])).toEqual([5, says('404')]);
    expect(await start(['keys', 'list'], { DATABASE_URL: 'postgres://x@127.0.0.1:1/x' })).toEqual([
      5,
      says('Nothing listens at the host and port in DATABASE_URL'),
    ]);
  });
});

test('output has colors on a terminal only, and not with NO_COLOR', async () => {
  await service.newWebhook('http://localhost:1');
  await service.publish();
  const main = join(packageRoot, 'dist/src/main.js');
  // A pseudo-terminal, left once the first line of the log is there.
  const script = `import pty, os, signal, sys
pid, terminal = pty.fork()
if pid == 0: os.execvp(sys.argv[1], sys.argv[1:])
seen = b''
while b'document.deleted' not in seen: seen += os.read(terminal, 1024)
os.kill(pid, signal.SIGKILL)
sys.stdout.buffer.write(seen)`;
  const onTerminal = async (env: Record<string, string>) => {
    const { PATH = '', HOME = '' } = process.env;
    const { stdout } = await runProgram('python3', ['-c', script, process.execPath, main, 'tail'], {
      env: { PATH, HOME, TERM: 'xterm-256color', ...settings(env) },
      timeout: 30_000,
    });
    return stdout;
  };
  expect(await onTerminal({})).toContain('\u001B[');
  expect(await onTerminal({ NO_COLOR: '1' })).not.toContain('\u001B[');
  expect((await start(['deliveries', 'list'], settings({ FORCE_COLOR: '1' })))[1]).not.toContain('\u001B[');
});

describe('completion', () => {
  async function complete(line: string): Promise<string[]> {
    const [code, script] = await run(['completion', 'bash']);
    expect(code).toBe(0);
    const ask = `${script}
line=$1
COMP_WORDS=(\${line% })
[[ $line == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
_fltr_webhooks
printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout } = await runProgram('bash', ['-uc', ask, 'bash', line], { timeout: 10_000 });
    return stdout.split('\n').filter((word) => word !== '');
  }

  test.each([
    ['fltr-webhooks del', ['deliveries']],
    ['fltr-webhooks deliveries re', ['retry', 'reschedule']],
    ['fltr-webhooks deliveries list --st', ['--status']],
    [
      'fltr-webhooks deliveries list --status ',
      ['pending', 'retrying', 'delivered', 'failed', 'held', 'canceled'],
    ],
    ['fltr-webhooks deliveries list --json --force', []],
    ['fltr-webhooks deliveries retry dlv_1 --fo', ['--force']],
    ['fltr-webhooks deliveries list --webhook ', []],
    ['fltr-webhooks recover wh_1 --only f', ['failed']],
    ['fltr-webhooks webhooks update wh_1 --retry ', ['page', 'day', 'three_days', 'week', 'none']],
    ['fltr-webhooks webhooks create --probe', ['--probe-when-down']],
    ['fltr-webhooks webhooks put order-service --on-gone ', ['fail', 'disable']],
    ['fltr-webhooks completion --', ['--help']],
  ])('%s', async (line, words) => {
    expect(await complete(line)).toEqual(words);
  });

  test('completion works in bash, and zsh and fish get the same words', async () => {
    const [, script] = await run(['completion', 'bash']);
    const { stdout } = await runProgram('bash', ['-euc', `${script}\ncomplete -p fltr-webhooks`]);
    expect(stdout).toBe('complete -o default -F _fltr_webhooks fltr-webhooks\n');
    const wordsOf = (text: string) =>
      [...text.matchAll(/printf '%s\\n' ([^;]+);/g)].map(([, words]) => words);
    const expected = wordsOf(script);
    expect(expected.length).toBeGreaterThan(30);
    for (const shell of ['zsh', 'fish'])
      expect(wordsOf((await run(['completion', shell]))[1])).toEqual(expected);
    expect(await run(['completion', 'tcsh'])).toEqual([
      2,
      expect.stringContaining('Allowed choices are bash'),
    ]);
  });
});

test('every call of the API is a command, or is known to be none', () => {
  // `tail` and `listen` open the stream with `watchChanges`.
  const withoutCommand = [
    'get /v1/stream',
    'get /healthz',
    'get /readyz',
    'get /openapi.json',
    'get /.well-known/jwks.json',
  ];
  const cli = join(packageRoot, 'src/cli');
  const code = readdirSync(cli)
    .map((name) => readFileSync(join(cli, name), 'utf8'))
    .join('\n');
  const paths = Object.entries(openApiDocument().paths ?? {}) as [
    string,
    Record<string, { operationId?: string }>,
  ][];
  const operations = paths.flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { operationId }]) => ({ name: `${method} ${path}`, operationId })),
  );
  expect(operations.length).toBeGreaterThan(20);
  const isCalled = (id: string | undefined) => id !== undefined && code.includes(`client.${id}(`);
  expect(operations.filter(({ operationId }) => !isCalled(operationId)).map(({ name }) => name)).toEqual(
    withoutCommand,
  );
});
