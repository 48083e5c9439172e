import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import { isAlive } from '../../src/embedded/processes.ts';
import { packageRoot } from '../../src/package-root.ts';
import { runInProcess } from '../kit/command.ts';
import { call, until } from '../kit/service.ts';
import { childrenOf, startProcess, type ServiceProcess } from '../kit/process.ts';
import { startReceiver } from '../kit/test-receiver.ts';

let folder: string;
let port: number;
let processes: ServiceProcess[];
beforeEach(async () => {
  processes = [];
  folder = mkdtempSync(join(tmpdir(), 'fltr-start-'));
  // Started as root, PostgreSQL's user must get through: else the database is kept elsewhere, and stays.
  chmodSync(folder, 0o755);
  port = await reservePort();
});
afterEach(async () => {
  for (const child of processes) child.kill('SIGKILL');
  await Promise.all(processes.map((child) => child.exited()));
  await until(serversOf, (pids) => pids.length === 0);
  rmSync(folder, { recursive: true, force: true });
});

const env = (more: Record<string, string> = {}) => ({
  FLTR_DATA_DIR: join(folder, '.fltr'),
  PORT: String(port),
  LOG_LEVEL: 'warn',
  ...more,
});

function up(more: Record<string, string> = {}): ServiceProcess {
  const child = startProcess(['up'], env(more));
  processes.push(child);
  return child;
}

async function untilReady(child: ServiceProcess): Promise<void> {
  await until(
    () => child.output(),
    (output) => output.includes('FLTR webhooks is ready.') || !child.isRunning(),
  );
  if (!child.isRunning()) throw new Error(child.output());
}

/** PostgreSQL's and Temporal's processes of this folder. */
function serversOf(): number[] {
  const lines = execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' }).split('\n');
  return lines
    .filter((line) => line.includes(folder) && !line.includes('ps -eo'))
    .map((line) => Number.parseInt(line, 10));
}

const keyOf = () => readFileSync(join(folder, '.fltr/dev-key'), 'utf8').trim();
const api = <T>(method: string, path: string, body?: unknown) =>
  call<T>(`http://127.0.0.1:${port}`, keyOf(), method, path, body);

test('a first start is ready to deliver and prints its addresses, and a second one continues where it was', async () => {
  const receiver = await startReceiver();
  onTestFinished(() => receiver.close());
  const first = up();
  await untilReady(first);
  const output = first.output();
  for (const part of [
    /Dashboard +http:\/\/127\.0\.0\.1:\d+\/sign-in#token=[\w-]{43}\n/,
    /API +http:\/\/127\.0\.0\.1:\d+/,
    /PostgreSQL +postgres:\/\/fltr:/,
    /Temporal +127\.0\.0\.1:\d+ \(gRPC\)/,
    /Web UI +http:\/\/127\.0\.0\.1:\d+/,
  ]) {
    expect(output).toMatch(part);
  }
  // The printed line works as it is, but for the receiver's address.
  const curl =
    /curl -X POST [^]*\]\}'/.exec(output)?.[0].replace('http://localhost:5000', receiver.url) ?? '';
  const created = JSON.parse(execFileSync('sh', ['-c', `${curl} -sS`], { encoding: 'utf8' })) as {
    webhook_id: string;
  };
  expect(created.webhook_id).toMatch(/^wh_/);
  // The printed link signs in once.
  const token = /#token=(\S+)/.exec(output)?.[1];
  const dashboard = { 'x-fltr-dashboard': '1' };
  const signIn = () =>
    call<{ account_id: string; detail: string }>(
      `http://127.0.0.1:${port}`,
      null,
      'POST',
      '/session',
      { token },
      dashboard,
    );
  const signedIn = await signIn();
  expect([signedIn.status, signedIn.body.account_id]).toEqual([200, 'acc_development']);
  const again = await signIn();
  expect([again.status, again.body.detail]).toEqual([401, expect.stringContaining('with an API key')]);
  const webUi = /Web UI +(\S+)/.exec(output)?.[1] ?? '';
  expect((await fetch(webUi)).status).toBe(200);
  expect(statSync(join(folder, '.fltr/dev-key')).mode & 0o777).toBe(0o600);

  const event = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };
  await api('POST', '/v1/events', event);
  await until(
    () => receiver.requests.length,
    (count) => count === 1,
  );

  first.kill('SIGTERM');
  expect(await first.exited()).toBe(0);
  expect(serversOf()).toEqual([]);
  expect(existsSync(join(folder, '.fltr/service.json'))).toBe(false);

  const key = keyOf();
  await untilReady(up());
  expect(keyOf()).toBe(key);
  await api('POST', '/v1/events', event);
  await until(
    () => receiver.requests.length,
    (count) => count === 2,
  );
});

test(
  'kill -9 of the whole tree loses nothing: the next start delivers the waiting deliveries',
  { timeout: 300_000 },
  async () => {
    let responseStatus = 503;
    const receiver = await startReceiver((_request, response) => {
      response.writeHead(responseStatus).end();
    });
    onTestFinished(() => receiver.close());
    const first = up({ FLTR_RETRY_SCHEDULE_SECONDS: '5,5' });
    await untilReady(first);
    await api('POST', '/v1/webhooks', { url: receiver.url, events: ['*'] });
    for (let index = 0; index < 5; index += 1) {
      await api('POST', '/v1/events', {
        event: 'document.deleted',
        data: { document_id: `doc_${index}`, dataset_id: 'ds_1' },
      });
    }
    await until(
      () => receiver.requests.length,
      (count) => count === 5,
    );
    for (const pid of [first.pid, ...serversOf()]) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Its parent's end took it along.
      }
    }
    await first.exited();
    responseStatus = 200;
    await untilReady(up({ FLTR_RETRY_SCHEDULE_SECONDS: '5,5' }));
    await until(
      async () =>
        (await api<{ data: { status: string }[] }>('GET', '/v1/deliveries')).body.data.map(
          ({ status }) => status,
        ),
      (statuses) => statuses.length === 5 && statuses.every((status) => status === 'delivered'),
    );
  },
);

test(
  'an embedded server that dies is started again, and the service continues',
  { timeout: 300_000 },
  async () => {
    const receiver = await startReceiver();
    onTestFinished(() => receiver.close());
    const child = up();
    await untilReady(child);
    await api('POST', '/v1/webhooks', { url: receiver.url, events: ['*'] });
    for (const pid of serversOf()) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone with its group.
      }
    }
    await until(
      async () => {
        const event = {
          event: 'document.deleted',
          data: { document_id: 'doc_1', dataset_id: 'ds_1' },
          id: 'evt_after',
        };
        return (await api('POST', '/v1/events', event).catch(() => ({ status: 0 }))).status;
      },
      (status) => status === 202,
    );
    await until(
      () => receiver.requests.length,
      (count) => count >= 1,
    );
    expect(child.isRunning()).toBe(true);
  },
);

test('a port in use is named, before anything is started', async () => {
  const other = createServer().listen(port, '127.0.0.1');
  await once(other, 'listening');
  onTestFinished(() => void other.close());
  const child = up();
  expect(await child.exited()).toBe(1);
  expect(child.output()).toContain(`Port ${port} on 127.0.0.1 is already in use. Set PORT to a free port`);
  expect(child.output()).not.toContain('    at ');
});

test(
  'two runs with two folders and two ports live side by side; the same folder is refused',
  { timeout: 300_000 },
  async () => {
    await untilReady(up());
    const same = up({ PORT: String(await reservePort()) });
    expect(await same.exited()).toBe(1);
    expect(same.output()).toMatch(/in use by another fltr-webhooks \(process \d+\)/);
    const second = up({
      PORT: String(await reservePort()),
      FLTR_DATA_DIR: join(folder, 'second'),
    });
    await untilReady(second);
    expect(await call(`http://127.0.0.1:${port}`, keyOf(), 'GET', '/v1/webhooks')).toMatchObject({
      status: 200,
    });
  },
);

test.each(['1', '2'])(
  'a second signal stops at once, and leaves no process behind (%s processes)',
  async (FLTR_PROCESSES) => {
    const receiver = await startReceiver(() => undefined);
    onTestFinished(() => receiver.close());
    const child = up({ FLTR_ATTEMPT_TIMEOUT_MS: '30000', FLTR_PROCESSES });
    await untilReady(child);
    await api('POST', '/v1/webhooks', { url: receiver.url, events: ['*'] });
    await api('POST', '/v1/events', {
      event: 'document.deleted',
      data: { document_id: 'doc_1', dataset_id: 'ds_1' },
    });
    await until(
      () => receiver.requests.length,
      (count) => count === 1,
    );
    const children = childrenOf(child);
    expect(children).toHaveLength(FLTR_PROCESSES === '1' ? 0 : 2);
    // As npm does: the terminal's Ctrl-C and the one that it passes on are one.
    child.kill('SIGINT');
    child.kill('SIGINT');
    await until(child.output, (output) => output.includes('SIGINT: stopping'));
    await delay(1000);
    expect(child.isRunning()).toBe(true);
    child.kill('SIGINT');
    // By the signal: one that had waited for the attempt would end with 0.
    expect(await child.exited()).toBe(130);
    await until(
      () => [...serversOf(), ...children.filter(isAlive)],
      (pids) => pids.length === 0,
    );
  },
);

test.each([
  ['SIGINT', '1'],
  ['SIGTERM', '1'],
  ['SIGINT', '2'],
] as const)(
  'npm start ends clean on %s to npm and all below it (%s processes)',
  async (signal, FLTR_PROCESSES) => {
    // Without its build, which has been made: it would remove the files that browsers of other tests load at this moment.
    const npm = spawn('npm', ['start', '--ignore-scripts'], {
      cwd: packageRoot,
      env: { ...process.env, ...env({ FLTR_PROCESSES }) },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [npm.stdout, npm.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    await until(
      () => output,
      (text) => text.includes('FLTR webhooks is ready.'),
    );
    const ended = once(npm, 'exit');
    // The whole group, as a terminal does.
    process.kill(-(npm.pid ?? 0), signal);
    await ended;
    await until(serversOf, (pids) => pids.length === 0);
    expect(output.match(/stopping/g)).toHaveLength(1);
    expect(existsSync(join(folder, '.fltr/service.json'))).toBe(false);
  },
);

test('accounts and keys are made from the command line while the service runs, a service key first', async () => {
  await untilReady(up());
  const run = (...command: string[]) => runInProcess(command, env());
  const account = 'acme';
  const all = await run('keys', 'create', '--service', '--scopes', 'all', '--name', 'operator');
  const [serviceKey = ''] = /fltr_\S+/.exec(all.output) ?? [];
  const api = ['--api-url', `http://127.0.0.1:${port}`, '--key', serviceKey];
  const put = await run('accounts', 'put', account, '--name', 'Acme', ...api);
  expect([put.code, put.output]).toEqual([0, expect.stringContaining('Acme')]);
  const made = await run(
    'keys',
    'create',
    '--account',
    account,
    '--scopes',
    'webhooks:read',
    '--name',
    'reader',
  );
  const [key = ''] = /fltr_\S+/.exec(made.output) ?? [];
  expect((await call(`http://127.0.0.1:${port}`, key, 'GET', '/v1/webhooks')).status).toBe(200);
  expect((await call(`http://127.0.0.1:${port}`, key, 'POST', '/v1/webhooks', {})).status).toBe(403);
  const listed = await run('keys', 'list');
  expect(listed.output).toMatch(
    /\(service\) +webhooks:read,webhooks:write,events:write,event-types:write,accounts:read,accounts:write +operator/,
  );
  expect(listed.output).toContain('reader');
  expect(listed.output).not.toContain(key);
  const [id = ''] = /key_\w+/.exec(made.output) ?? [];
  expect((await run('keys', 'revoke', id)).code).toBe(0);
  expect((await call(`http://127.0.0.1:${port}`, key, 'GET', '/v1/webhooks')).status).toBe(401);
  for (const [code, wrong] of [
    [2, ['keys', 'create']],
    [3, ['keys', 'create', '--account', 'acc_no']],
    [2, ['keys', 'create', '--service', '--scopes', 'everything']],
    [2, ['keys', 'create', '--account', account, '--scopes', 'accounts:write']],
    [3, ['keys', 'revoke', id]],
  ] as const) {
    const refused = await run(...wrong);
    expect([refused.code, wrong]).toEqual([code, wrong]);
    expect(refused.output).not.toContain('    at ');
  }
});

test('faults of the settings are printed all at once, without a stack', async () => {
  const child = startProcess(['up'], { ...env(), PORT: 'none', FLTR_RETRY_SCHEDULE_SECONDS: 'soon' });
  processes.push(child);
  expect(await child.exited()).toBe(1);
  expect(child.output()).toMatch(/PORT must be[^]*FLTR_RETRY_SCHEDULE_SECONDS must be/);
  expect(child.output()).not.toContain('    at ');
});
