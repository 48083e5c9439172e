import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { packageRoot } from '../../src/package-root.ts';

const changelog = '# Changelog\n\n## [Unreleased]\n\n### Added\n\n- A thing.\n';
const files = ['package.json', 'package-lock.json', 'docker-compose.yml', 'src/api/openapi.json'];
let folder: string;

function run(command: string, ...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: folder, encoding: 'utf8' });
  return { status, output: `${stdout}${stderr}`.trim() };
}
const git = (...args: string[]) => run('git', ...args).output;
const release = (version: string) => run(process.execPath, join(packageRoot, 'scripts/release.mjs'), version);
const read = (name: string) => readFileSync(join(folder, name), 'utf8');

function commit(name: string, text: string): void {
  writeFileSync(join(folder, name), text);
  git('add', '--all');
  git('commit', '--quiet', '--message', name);
}

// A repository with the files of this one that say the version.
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fltr-release-'));
  git('init', '--quiet', '--initial-branch=main');
  git('config', 'user.name', 'Test');
  git('config', 'user.email', 'test@example.com');
  git('config', 'commit.gpgsign', 'false');
  git('config', 'tag.gpgsign', 'false');
  for (const name of files) cpSync(join(packageRoot, name), join(folder, name));
  commit('CHANGELOG.md', changelog);
});
afterEach(() => rmSync(folder, { recursive: true }));

test('a release sets the version everywhere, dates the changes, commits and tags', () => {
  const { status, output } = release('7.8.9');
  expect(status, output).toBe(0);
  expect(git('status', '--porcelain')).toBe('');
  expect(git('log', '-1', '--format=%s')).toBe('Release 7.8.9');
  expect(git('describe')).toBe('v7.8.9');
  const date = new Date().toISOString().slice(0, 10);
  expect(read('CHANGELOG.md')).toBe(
    `# Changelog\n\n## [Unreleased]\n\n## [7.8.9] - ${date}\n\n### Added\n\n- A thing.\n`,
  );
  for (const name of files) expect(read(name)).toContain('7.8.9');
  const { version, packages } = JSON.parse(read('package-lock.json')) as {
    version: string;
    packages: Record<string, { version: string }>;
  };
  expect([version, packages['']?.version]).toEqual(['7.8.9', '7.8.9']);
  expect(git('diff', '--numstat', 'HEAD~', '--', ...files).replaceAll(/\s+/g, ' ')).toBe(
    '1 1 docker-compose.yml 2 2 package-lock.json 1 1 package.json 1 1 src/api/openapi.json',
  );
  expect(output).toContain('git push --atomic origin main v7.8.9');
});

test.each<[string, string, () => void]>([
  ['not committed', '1.0.0', () => writeFileSync(join(folder, 'new.txt'), '')],
  [
    'A release is made on main, and this is work',
    '1.0.0',
    () => git('switch', '--quiet', '--create', 'work'),
  ],
  ['v1.0.0 has been released', '1.0.0', () => git('tag', 'v1.0.0')],
  [
    'no entry under Unreleased',
    '1.0.0',
    () =>
      commit(
        'CHANGELOG.md',
        `${changelog.replace('- A thing.\n', '')}\n## [0.1.0] - 2026-01-01\n\n- An old thing.\n`,
      ),
  ],
  ['Usage: npm run release', 'v1', () => undefined],
])('a release is refused: %s', (message, version, prepare) => {
  prepare();
  const before = git('rev-parse', 'HEAD');
  const { status, output } = release(version);
  expect(output).toContain(message);
  expect(status).toBe(1);
  expect(git('rev-parse', 'HEAD')).toBe(before);
});
