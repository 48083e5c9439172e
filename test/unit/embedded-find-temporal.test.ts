import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { findTemporal, userCacheDir } from '../../src/embedded/find-temporal.ts';
import type { TemporalSource } from '../../src/embedded/temporal-sources.ts';

const folder = mkdtempSync(join(tmpdir(), 'fltr-find-temporal-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const TEMPORAL = `#!/bin/sh
case "$*" in
  --version) echo "temporal version 1.4.0 (Server 1.28.0, UI 2.39.0)" ;;
  "server start-dev --help") echo "  -f, --db-filename string" ;;
  *) exit 2 ;;
esac
`;

/** A machine of its own: a PATH with these programs only, an empty cache, and a network that ends at a dead proxy. */
function machine(name: string, programs: Record<string, string> = {}) {
  const bin = join(folder, name, 'bin');
  const cacheDir = join(folder, name, 'cache');
  mkdirSync(bin, { recursive: true });
  for (const [program, script] of Object.entries(programs)) putProgram(join(bin, program), script);
  const lines: string[] = [];
  const env = { PATH: bin, HOME: join(folder, name), HTTPS_PROXY: 'http://127.0.0.1:9' };
  const cached = join(cacheDir, 'temporal-cli-1.5.1', 'temporal');
  return {
    bin,
    cacheDir,
    cached,
    lines,
    options: { env, cacheDir, report: (line: string) => void lines.push(line) },
  };
}

function putProgram(file: string, script: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, script, { mode: 0o755 });
}

test('`temporal` on PATH comes first, and its version is reported', async () => {
  const { bin, cached, lines, options } = machine('path', { temporal: TEMPORAL });
  putProgram(cached, TEMPORAL);
  expect(await findTemporal(options)).toEqual({ path: join(bin, 'temporal'), kind: 'path' });
  expect(lines).toEqual([expect.stringContaining('temporal version 1.4.0')]);
});

test.each([
  ['fails', '#!/bin/sh\necho "cannot run here" >&2; exit 1\n', /cannot run here/],
  ['is something else', '#!/bin/sh\necho "Temporal tables for everyone"\n', /is not the Temporal CLI/],
  ['has no development server', TEMPORAL.replace('--db-filename', '--other'), /has no `server start-dev`/],
  ['hangs', '#!/bin/sh\nwhile :; do :; done\n', /timeout after 5 s/],
])(
  'a `temporal` on PATH that %s is passed over with one line, for the copy in the cache',
  async (name, script, line) => {
    const { cached, lines, options } = machine(name.replaceAll(' ', '-'), { temporal: script });
    putProgram(cached, TEMPORAL);
    expect(await findTemporal(options)).toEqual({ path: cached, kind: 'cache' });
    expect(lines).toEqual([expect.stringMatching(line)]);
  },
);

const GO = `#!/bin/sh
case "$1" in
  list) exit 0 ;;
  install)
    [ -z "$GOOS" ] && [ "$2" = github.com/temporalio/cli/cmd/temporal@v1.5.1 ] || exit 1
    echo "compiling"
    printf '#!/bin/sh\\necho temporal version 0.0.0-DEV\\n' > "$GOBIN/temporal" ;;
esac
`;

test('without a network to download from, it is built with Go, kept in the cache, and found there the next time', async () => {
  const { cacheDir, cached, lines, options } = machine('build', { go: GO });
  // A start that was killed in the middle.
  mkdirSync(join(cacheDir, 'temporal-cli-1.5.1', 'new-4194999'), { recursive: true });
  const env = { ...options.env, GOOS: 'plan9' };
  expect(await findTemporal({ ...options, env })).toEqual({ path: cached, kind: 'build' });
  expect(lines).toEqual([
    expect.stringContaining('on PATH: not found'),
    expect.stringContaining(`${cached} not found`),
    expect.stringContaining('downloading the CLI 1.5.1'),
    expect.stringMatching(/the SDK's download: failed/),
    expect.stringMatching(/building it from its Go module .*4 to 8 minutes/),
  ]);
  expect(readdirSync(dirname(cached)).sort()).toEqual(['build.log', 'download.log', 'temporal']);
  expect(readFileSync(join(dirname(cached), 'build.log'), 'utf8')).toBe('compiling\n');
  expect(await findTemporal(options)).toEqual({ path: cached, kind: 'cache' });
});

test('when no source works, the error lists all five with their failures', async () => {
  const go = '#!/bin/sh\necho "dial tcp: lookup proxy: no such host" >&2; exit 1\n';
  const { cached, options } = machine('none', { go });
  const error = await findTemporal(options).catch((thrown: Error) => thrown);
  const { message } = error as Error;
  for (const part of [
    /1\. TEMPORAL_ADDRESS: not set/,
    /2\. `temporal` on PATH: not found/,
    /3\. the copy in the cache folder: .* not found/,
    /4\. the SDK's download: failed/,
    /5\. a build with Go: .*no such host/,
  ]) {
    expect(message).toMatch(part);
  }
  expect(existsSync(cached)).toBe(false);
});

test('a build that fails shows the end of its log and leaves no half file', async () => {
  const go = '#!/bin/sh\n[ "$1" = list ] && exit 0\necho "x.go:1: syntax error" >&2; exit 1\n';
  const { cached, options } = machine('broken-build', { go });
  await expect(findTemporal(options)).rejects.toThrow(/a build with Go: failed \(code 1\)[^]*syntax error/);
  expect(readdirSync(dirname(cached)).sort()).toEqual(['build.log', 'download.log']);
});

test('sources are tried in order, each failure is one line, and none is tried after the one that works', async () => {
  const tried: string[] = [];
  const lines: string[] = [];
  const source = (kind: TemporalSource['kind'], result: string | Error): TemporalSource => ({
    kind,
    name: kind,
    find() {
      tried.push(kind);
      return typeof result === 'string' ? Promise.resolve(result) : Promise.reject(result);
    },
  });
  const sources = [
    source('path', new Error('a\nsecond line')),
    source('cache', new Error('b')),
    source('download', '/found'),
    source('build', '/never'),
  ];
  const report = (line: string): void => void lines.push(line);
  expect(await findTemporal({ env: {}, cacheDir: folder, report, sources })).toEqual({
    path: '/found',
    kind: 'download',
  });
  expect(tried).toEqual(['path', 'cache', 'download']);
  expect(lines).toEqual(['Temporal: path: a', 'Temporal: cache: b']);
});

test("the cache folder is the platform's", () => {
  expect(userCacheDir({ HOME: '/home/x' }, 'linux')).toBe('/home/x/.cache/fltr-webhooks');
  expect(userCacheDir({ HOME: '/home/x', XDG_CACHE_HOME: '/c' }, 'linux')).toBe('/c/fltr-webhooks');
  expect(userCacheDir({ HOME: '/Users/x' }, 'darwin')).toBe('/Users/x/Library/Caches/fltr-webhooks');
  expect(userCacheDir({ HOME: '' }, 'linux')).toBe(join(homedir(), '.cache/fltr-webhooks'));
  expect(userCacheDir({ LOCALAPPDATA: '/l' }, 'win32')).toBe('/l/fltr-webhooks');
});
