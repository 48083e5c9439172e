import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { lockDataDir } from '../../src/embedded/data-dir-lock.ts';
import { choosePort, isPortFree } from '../../src/embedded/free-port.ts';

const folder = mkdtempSync(join(tmpdir(), 'fltr-data-dir-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the lock makes a private folder, refuses a second holder, and can be taken again after release', () => {
  const dataDir = join(folder, 'deep', 'data');
  const lock = lockDataDir(dataDir);
  expect(statSync(dataDir).mode & 0o777).toBe(0o700);
  expect(() => lockDataDir(dataDir)).toThrow(
    /in use by another fltr-webhooks \(process \d+\).*FLTR_DATA_DIR/,
  );
  lock.release();
  expect(readdirSync(dataDir)).toEqual([]);
  lockDataDir(dataDir).release();
});

test('a live holder is refused, a dead one taken over', async () => {
  const dataDir = join(folder, 'holder');
  const holder = spawn('sleep', ['60'], { stdio: 'ignore' });
  lockDataDir(dataDir).release();
  writeFileSync(join(dataDir, 'run.pid'), JSON.stringify({ pid: holder.pid }));
  expect(() => lockDataDir(dataDir)).toThrow(`process ${holder.pid}`);
  const gone = new Promise((done) => holder.once('exit', done));
  holder.kill('SIGKILL');
  await gone;
  const lock = lockDataDir(dataDir);
  expect(readFileSync(join(dataDir, 'run.pid'), 'utf8')).toContain(String(process.pid));
  expect(readdirSync(dataDir)).toEqual(['run.pid']);
  lock.release();
});

test.runIf(process.platform === 'linux')('a process that only has the same number is not the holder', () => {
  const dataDir = join(folder, 'recycled');
  lockDataDir(dataDir).release();
  writeFileSync(join(dataDir, 'run.pid'), JSON.stringify({ pid: process.pid, startTicks: '1' }));
  lockDataDir(dataDir).release();
  expect(existsSync(join(dataDir, 'run.pid'))).toBe(false);
});

test('a torn lock file is taken over, and release leaves the lock of another alone', () => {
  const dataDir = join(folder, 'torn');
  lockDataDir(dataDir).release();
  writeFileSync(join(dataDir, 'run.pid'), '{"pi');
  const lock = lockDataDir(dataDir);
  writeFileSync(join(dataDir, 'run.pid'), JSON.stringify({ pid: 1 }));
  lock.release();
  expect(existsSync(join(dataDir, 'run.pid'))).toBe(true);
});

test('a preferred port is given when free, else the next one, else any; reserved ones never', async () => {
  const server = await new Promise<Server>((done) => {
    const created = createServer().listen(0, '127.0.0.1', () => done(created));
  });
  const taken = (server.address() as AddressInfo).port;
  const free = await choosePort('127.0.0.1', []);
  expect(await isPortFree('127.0.0.1', taken)).toBe(false);
  expect(await isPortFree('127.0.0.1', free)).toBe(true);
  expect(await choosePort('127.0.0.1', [taken, free])).toBe(free);
  expect([taken, free]).not.toContain(await choosePort('127.0.0.1', [taken, free], [free]));
  expect(await choosePort('127.0.0.1', [taken])).not.toBe(taken);
  // Those above are given to outgoing connections, which could take it before its server does.
  expect(free).toBeLessThan(32_768);
  await new Promise((done) => server.close(done));
});
