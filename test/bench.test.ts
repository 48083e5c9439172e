import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import {
  cpuBetween,
  isDisturbed,
  median,
  percentile,
  treesOf,
  type CpuSnapshot,
  type ProcessTimes,
} from '../bench/measure.ts';
import { byPart, headlineOf, mediansOf, noFigures, type BenchDocument, type Part } from '../bench/report.ts';
import { childEnvironment } from '../src/config.ts';
import { packageRoot } from '../src/package-root.ts';

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
      const sizes = ['--events', '50', '--warm-up-events', '20', '--floor-seconds', '1'];
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
        floorPerSecond: { noop: expect.any(Number), activity: expect.any(Number) },
        timesFloor: expect.any(Number),
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
      for (const { endToEndMs, deliveredPerSecond, floorPerSecond, timesFloor } of document.parts) {
        expect(endToEndMs.p50).toBeGreaterThan(0);
        expect(endToEndMs.p99).toBeGreaterThanOrEqual(endToEndMs.p50 ?? Infinity);
        expect(timesFloor).toBeCloseTo((deliveredPerSecond ?? 0) / (floorPerSecond.activity ?? 0), 2);
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
        if (text.includes('The floor')) resolve();
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

describe('figures', () => {
  test('percentiles by nearest rank', () => {
    expect(percentile([], 50)).toBe(null);
    expect(percentile([7], 50)).toBe(7);
    expect(percentile([7], 99)).toBe(7);
    expect(percentile([2, 1], 50)).toBe(1);
    expect(percentile([10, 9, 1], 100)).toBe(10);
    expect(percentile([3, 1, 2], 0)).toBe(1);
    const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect(percentile(hundred, 99)).toBe(99);
    expect(percentile([...hundred, 101], 99)).toBe(100);
  });

  test('medians', () => {
    expect(median([])).toBe(null);
    expect(median([3])).toBe(3);
    expect(median([10, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
  });

  test('a run is disturbed by more than 0.2 cores, not by just so many', () => {
    expect(isDisturbed(null)).toBe(false);
    expect(isDisturbed(0)).toBe(false);
    expect(isDisturbed(0.2)).toBe(false);
    expect(isDisturbed(0.201)).toBe(true);
  });

  test('what others took: all that ran and was stolen, without our own', () => {
    const at = (atMs: number, busyMs: number, ownMs: number, stolenMs: number): CpuSnapshot => ({
      atMs,
      busyMs,
      ownMs,
      stolenMs,
      parts: { node: ownMs / 2 },
    });
    expect(cpuBetween(at(0, 1000, 500, 10), at(10_000, 9000, 6500, 510))).toEqual({
      seconds: 10,
      otherCores: 0.25,
      partMs: { node: 3000 },
    });
    // Ticks: ours may seem to have taken more than all.
    expect(cpuBetween(at(0, 0, 0, 0), at(1000, 500, 510, 0))?.otherCores).toBe(0);
    expect(cpuBetween(at(5, 0, 0, 0), at(5, 10, 0, 0))?.otherCores).toBe(0);
    expect(cpuBetween(null, at(0, 0, 0, 0))).toBe(null);
  });

  test('a tree of processes is all below its root, in whatever order they are listed', () => {
    const of = (parent: number) => ({ name: 'x', parent, cpuMs: 1 });
    const processes: ProcessTimes = new Map([
      [40, of(30)],
      [30, of(20)],
      [20, of(1)],
      [21, of(1)],
      [1, of(0)],
    ]);
    expect(new Set(treesOf(processes, [20]))).toEqual(new Set([20, 30, 40]));
    expect(new Set(treesOf(processes, [40, 20]))).toEqual(new Set([20, 30, 40]));
    expect(treesOf(processes, [99])).toEqual([]);
  });

  test('what the product costs is its three parts, without load and receiver', () => {
    const parts = { node: 1, temporal: 2, postgresql: 3, load: 10, receiver: 10 };
    expect(byPart(parts, 2)).toMatchObject({ node: 0.5, all: 3, load: 5 });
    expect(byPart({ node: 1 }).all).toBe(1);
    expect(byPart(null).all).toBe(null);
    expect(byPart(parts, 0).all).toBe(null);
  });

  test('several runs: medians, but every loss and the worst disturbance', () => {
    const run = (deliveredPerSecond: number | null, lost: number, otherCores: number) => ({
      name: 'burst',
      deliveredPerSecond,
      lost,
      otherCores,
      isDisturbed: isDisturbed(otherCores),
      parts: [{ publishMs: { p50: deliveredPerSecond } }],
      refused: lost > 0 ? { '503': lost } : {},
    });
    expect(mediansOf([run(10, 0, 0), run(30, 1, 0.5), run(11, 0, 0.1)])).toEqual({
      name: 'burst',
      deliveredPerSecond: 11,
      lost: 1,
      otherCores: 0.5,
      isDisturbed: true,
      parts: [{ publishMs: { p50: 11 } }],
      refused: { '503': 1 },
    });
    expect(mediansOf([run(null, 0, 0), run(null, 0, 0)]).deliveredPerSecond).toBe(null);
  });

  test('the document has the figures of its first part, and the losses of all', () => {
    const part = (name: string, lost: number | null, otherCores: number): Part => ({
      name,
      ...noFigures,
      deliveredPerSecond: 5,
      lost,
      otherCores,
    });
    const parts = [part('first', 0, 0.1), part('second', 2, 0.3), part('third', null, 0)];
    expect(headlineOf(parts, parts[0])).toMatchObject({
      deliveredPerSecond: 5,
      lost: 2,
      repeated: null,
      otherCores: 0.3,
      isDisturbed: true,
    });
    expect(headlineOf([], undefined)).toEqual(noFigures);
  });
});
