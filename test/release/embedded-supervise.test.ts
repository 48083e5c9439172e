import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { isAlive } from '../../src/embedded/processes.ts';
import { keepRunning } from '../../src/embedded/keep-running.ts';
import { startChild, type Child } from '../../src/embedded/supervise.ts';
import { packageRoot } from '../../src/package-root.ts';
import { until as untilDone } from '../kit/service.ts';

const folder = mkdtempSync(join(tmpdir(), 'fltr-supervise-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function startScript(name: string, script: string): ReturnType<typeof startChild> {
  return startChild({
    name,
    command: '/bin/sh',
    args: ['-c', script],
    env: process.env,
    logFile: join(folder, `${name}.log`),
    stopSignal: 'SIGINT',
  });
}

function log(name: string): string {
  return readFileSync(join(folder, `${name}.log`), 'utf8');
}

/** Every live process of the group: program, watcher, and the processes that they started. */
function groupMembers(pgid: number): string[] {
  const ps = spawnSync('ps', ['-e', '-o', 'pgid=,stat=,args='], { encoding: 'utf8' });
  return ps.stdout.split('\n').filter((line) => {
    const [group, stat] = line.trim().split(/\s+/);
    return Number(group) === pgid && stat?.startsWith('Z') === false;
  });
}

const until = (condition: () => boolean) => untilDone(condition, Boolean);

test('a child that ends by itself is seen with its code, and its output is in the log', async () => {
  const child = startScript('ends', 'echo out; echo err >&2; exit 7');
  expect(await child.exited).toEqual({ code: 7, signal: null });
  expect(log('ends')).toBe('out\nerr\n');
  await until(() => groupMembers(child.pid).length === 0);
  await child.stop(1_000);
  child.kill();
});

test('stop sends the signal and leaves nobody behind', async () => {
  const child = startScript(
    'stops',
    'trap "echo signaled; exit 3" INT; echo up; while :; do sleep 0.1; done',
  );
  await until(() => log('stops') === 'up\n');
  expect(groupMembers(child.pid).length).toBeGreaterThanOrEqual(2);
  await child.stop(10_000);
  expect(await child.exited).toEqual({ code: 3, signal: null });
  expect(log('stops')).toBe('up\nsignaled\n');
  await until(() => groupMembers(child.pid).length === 0);
});

test('a child that does not obey is killed after the grace time, with all it started', async () => {
  const child = startScript('deaf', 'trap "" INT; sleep 60 & echo up; while :; do sleep 0.1; done');
  await until(() => log('deaf') === 'up\n');
  await child.stop(500);
  expect(await child.exited).toEqual({ code: null, signal: 'SIGKILL' });
  await until(() => groupMembers(child.pid).length === 0);
});

test('the program reads nothing, has no child it did not make, and a session of its own', async () => {
  const child = startScript(
    'alone',
    'cat; ls -l /proc/self/fd | grep -c socket; ps -o sid= -p $$; echo $$; ps -o pid= --ppid $$ | wc -l',
  );
  expect((await child.exited).code).toBe(0);
  const lines = log('alone').split('\n').map(Number);
  // The watcher's pipe, which Node makes as a socket pair, is not handed on.
  expect(lines.slice(0, 3)).toEqual([0, child.pid, child.pid]);
  // ps and wc themselves.
  expect(lines[3]).toBe(2);
});

test('a command that does not exist ends with 127 and says so in the log', async () => {
  const child = startChild({
    name: 'missing',
    command: join(folder, 'no-such-program'),
    args: [],
    env: process.env,
    logFile: join(folder, 'missing.log'),
    stopSignal: 'SIGTERM',
  });
  expect((await child.exited).code).toBe(127);
  expect(log('missing')).toContain('not found');
});

test('a log over 10 MB is put aside at the start', async () => {
  writeFileSync(join(folder, 'big.log'), Buffer.alloc(10 * 1024 * 1024 + 1, 'x'));
  await startScript('big', 'echo fresh').exited;
  expect(log('big')).toBe('fresh\n');
  expect(readFileSync(join(folder, 'big.log.1')).length).toBe(10 * 1024 * 1024 + 1);
});

test('kill -9 of the parent ends its children, with a stop signal first, and also those that ignore it', async () => {
  const polite = 'trap "echo signaled; exit 0" INT; echo up; while :; do sleep 0.1; done';
  const deaf = 'trap "" INT; echo up; while :; do sleep 0.1; done';
  const parentFile = join(folder, 'parent.mjs');
  writeFileSync(
    parentFile,
    `import { startChild } from ${JSON.stringify(join(packageRoot, 'src/embedded/supervise.ts'))};
     const pids = ${JSON.stringify([polite, deaf])}.map((script, n) => startChild({
       name: 'child-' + n, command: '/bin/sh', args: ['-c', script], env: process.env,
       logFile: ${JSON.stringify(folder)} + '/child-' + n + '.log', stopSignal: 'SIGINT' }).pid);
     console.log(JSON.stringify(pids));`,
  );
  const parent = spawn(process.execPath, [parentFile], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const printed = await new Promise<string>((done) =>
    parent.stdout.once('data', (chunk: Buffer) => done(String(chunk))),
  );
  const [politePid, deafPid] = JSON.parse(printed) as [number, number];
  await until(() => log('child-0') === 'up\n' && log('child-1') === 'up\n');
  parent.kill('SIGKILL');
  await until(() => !isAlive(politePid));
  expect(log('child-0')).toBe('up\nsignaled\n');
  await until(() => !isAlive(deafPid));
  await until(() => groupMembers(politePid).length + groupMembers(deafPid).length === 0);
});

/** A server that is a shell script, kept running; `script` may end it. */
async function keep(
  name: string,
  script: (start: number) => string,
  {
    addressOf = () => 'same',
    stableAfterMs = 600_000,
  }: { addressOf?: () => string; stableAfterMs?: number } = {},
) {
  const reported: string[] = [];
  const fatal: string[] = [];
  let starts = 0;
  const kept = await keepRunning({
    name,
    start: () => {
      starts += 1;
      return Promise.resolve().then(() => startScript(name, script(starts)));
    },
    addressOf,
    logFile: join(folder, `${name}.log`),
    report: (line) => reported.push(line),
    onFatal: (error) => fatal.push(error.message),
    pauseMs: 20,
    stableAfterMs,
  });
  return { kept, reported, fatal, starts: () => starts };
}
const serve = 'while :; do sleep 0.1; done';

test('a server that ends by itself is started again, but not after a stop', async () => {
  const { kept, reported, fatal, starts } = await keep('again', (start) => (start < 3 ? 'exit 7' : serve));
  await until(() => reported.length === 4);
  expect(reported).toEqual([
    'again ended unexpectedly (code 7), restarting …',
    'again was restarted.',
    'again ended unexpectedly (code 7), restarting …',
    'again was restarted.',
  ]);
  await kept.stop();
  await sleep(100);
  expect([starts(), fatal]).toEqual([3, []]);
});

test('a server that ends again and again is given up, with the remedy', async () => {
  const { kept, fatal, starts } = await keep('hopeless', () => 'exit 7');
  await until(() => fatal.length > 0);
  expect(fatal).toEqual([
    `hopeless ended unexpectedly (code 7), after 5 restarts in a row. See ${join(folder, 'hopeless.log')} for the cause, fix it, then start the service again.`,
  ]);
  await sleep(100);
  expect(starts()).toBe(6);
  await kept.stop();
});

test('restarts after a sound run do not add up', async () => {
  const { kept, fatal, starts } = await keep(
    'sound',
    (start) => (start < 5 ? 'exit 7' : start === 5 ? 'sleep 1.2' : start < 10 ? 'exit 7' : serve),
    { stableAfterMs: 1000 },
  );
  await until(() => starts() === 10);
  await kept.stop();
  expect(fatal).toEqual([]);
});

test('a start that fails is tried again, and so often only', async () => {
  const failing = (start: number): string => {
    if (start === 2) throw new Error('the port is taken');
    return start === 1 ? 'exit 7' : serve;
  };
  const { kept, reported, fatal } = await keep('fails-once', failing);
  await until(() => reported.at(-1) === 'fails-once was restarted.');
  expect(reported).toContain('fails-once could not be restarted (the port is taken), restarting …');
  await kept.stop();
  expect(fatal).toEqual([]);

  const { fatal: given, starts } = await keep('fails', (start) => {
    if (start > 1) throw new Error('no room');
    return 'exit 7';
  });
  await until(() => given.length > 0);
  expect([starts(), given[0]]).toEqual([
    6,
    expect.stringContaining('fails could not be restarted (no room), after 5 restarts in a row'),
  ]);
});

test('a server that comes back at another address is stopped', async () => {
  let calls = 0;
  const { fatal } = await keep('moved', (start) => (start === 1 ? 'exit 7' : serve), {
    addressOf: () => `127.0.0.1:${(calls += 1)}`,
  });
  await until(() => fatal.length > 0);
  expect(fatal[0]).toContain('another program uses the port. Start the service again.');
});

test('stop during a restart leaves nothing running', async () => {
  const children: Child[] = [];
  const kept = await keepRunning({
    name: 'slow',
    start: async (isRestart) => {
      if (isRestart) await sleep(300);
      const child = startScript('slow', isRestart ? serve : 'exit 7');
      children.push(child);
      return child;
    },
    addressOf: () => 'same',
    logFile: join(folder, 'slow.log'),
    report: () => undefined,
    onFatal: (error) => {
      throw error;
    },
  });
  await kept.first.exited;
  await sleep(50);
  await kept.stop();
  expect(children.length).toBe(2);
  await until(() => children.every(({ pid }) => !isAlive(pid)));
});
