import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import type { BenchDocument } from '../../bench/report.ts';
import { childEnvironment } from '../../src/config.ts';
import { packageRoot } from '../../src/package-root.ts';

const main = join(packageRoot, 'dist/bench/main.js');
/** All that a run leaves behind would be in here. */
const folder = mkdtempSync(join(tmpdir(), 'fltr-bench-test-'));
// PostgreSQL's user must get through.
chmodSync(folder, 0o755);
const env = { ...childEnvironment(), TMPDIR: folder };
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Commands of processes that still run in the folder. */
function processesLeft(): string[] {
  return readdirSync('/proc').flatMap((entry) => {
    try {
      const command = readFileSync(`/proc/${entry}/cmdline`, 'utf8');
      return command.includes(folder) ? [command.replaceAll('\0', ' ')] : [];
    } catch {
      return [];
    }
  });
}

const percentiles = { p50: expect.any(Number), p99: expect.any(Number) };
const onLinux = process.platform === 'linux';
const each = onLinux ? expect.any(Number) : null;
const byEachPart = { node: each, temporal: each, postgresql: each, all: each, load: each, receiver: each };

describe('npm run bench', () => {
  test(
    'a small burst: one document, all is delivered, nothing is left behind',
    { timeout: 300_000 },
    async () => {
      const sizes = ['--events', '50', '--warm-up-events', '20', '--baseline-seconds', '1'];
      const { stdout } = await promisify(execFile)(
        process.execPath,
        [main, 'burst', '--temporal', 'dev', '--json', ...sizes],
        { env, timeout: 280_000 },
      );
      const document = JSON.parse(stdout) as BenchDocument;
      const figures = {
        accepted: 50,
        delivered: 50,
        acceptedPerSecond: expect.any(Number),
        deliveredPerSecond: expect.any(Number),
        baselinePerSecond: { noop: expect.any(Number), activity: expect.any(Number) },
        timesBaseline: expect.any(Number),
        publishMs: percentiles,
        endToEndMs: percentiles,
        cpuMsPerDelivery: byEachPart,
        memoryMiB: byEachPart,
        lost: 0,
        repeated: 0,
        otherCores: each,
        isDisturbed: expect.any(Boolean),
        seconds: each,
        refused: {},
      };
      expect(document).toEqual({
        mode: 'burst',
        machine: expect.objectContaining({ cores: expect.any(Number) }),
        versions: expect.objectContaining({
          Node: process.version,
          PostgreSQL: expect.stringMatching(/^\d/),
        }),
        settings: expect.objectContaining({ temporal: 'development server', warmUpEvents: 20 }),
        runs: 1,
        ...figures,
        more: expect.any(Object),
        parts: ['50 at once', '50 in batches of 100', '50 at 1000/s'].map((name) => ({ name, ...figures })),
      });
      for (const { endToEndMs, deliveredPerSecond, baselinePerSecond, timesBaseline } of document.parts) {
        expect(endToEndMs.p50).toBeGreaterThan(0);
        expect(endToEndMs.p99).toBeGreaterThanOrEqual(endToEndMs.p50 ?? Infinity);
        expect(timesBaseline).toBeCloseTo((deliveredPerSecond ?? 0) / (baselinePerSecond.activity ?? 0), 2);
      }
      expect(readdirSync(folder)).toEqual([]);
      if (onLinux) expect(processesLeft()).toEqual([]);
    },
  );

  test('Ctrl-C ends every process and removes the folder', { timeout: 240_000 }, async () => {
    const child = spawn(process.execPath, [main, 'burst', '--temporal', 'dev'], {
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const exited = once(child, 'exit');
    let text = '';
    const hasStarted = new Promise<void>((resolve) => {
      child.stderr.on('data', (chunk: Buffer) => {
        text += String(chunk);
        if (text.includes('The baseline')) resolve();
      });
    });
    await Promise.race([hasStarted, exited]);
    child.kill('SIGINT');
    expect(await exited, text).toEqual([130, null]);
    expect(readdirSync(folder)).toEqual([]);
    if (onLinux) expect(processesLeft()).toEqual([]);
  });

  test('an unknown mode is refused with those that there are', async () => {
    await expect(promisify(execFile)(process.execPath, [main, 'brust'], { env })).rejects.toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('burst'),
    });
  });
});
