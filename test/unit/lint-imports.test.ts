import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { packageRoot } from '../../src/package-root.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fltr-lint-'));
  for (const name of ['.oxlintrc.json', 'scripts/lint-imports.mjs'])
    cpSync(join(packageRoot, name), join(folder, name));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The linter's errors about the imports of a file of that name and text. */
function faultsOf(path: string, text: string): string[] {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
  const { stdout } = spawnSync(join(packageRoot, 'node_modules/.bin/oxlint'), ['--format=unix', path], {
    cwd: folder,
    encoding: 'utf8',
  });
  return [...stdout.matchAll(/^\S+: (.*) \[Error\/fltr\(imports\)\]$/gm)].map(([, message = '']) => message);
}

test.each([
  [
    'src/db/a.ts',
    `import { b } from '../api/b.ts';\nexport const a = b;`,
    'src/db does not import src/api/b.ts.',
  ],
  ['src/api/routes/a.ts', `export { b } from '../../cli/b.ts';`, 'src/api does not import src/cli/b.ts.'],
  ['src/domain/a.ts', `export * from 'node:fs';`, 'src/domain does not import node:fs.'],
  ['workflows/a.ts', `export const a = () => import('pg');`, 'workflows does not import pg.'],
  [
    'workflows/a.ts',
    `import { a } from '../activities/a.ts';\nexport const b = a;`,
    'workflows does not import activities/a.ts.',
  ],
  ['src/domain/a.ts', `export type A = import('../db/a.ts').A;`, 'src/domain does not import src/db/a.ts.'],
])('a wrong import in %s is refused (%#)', (path, text, message) => {
  expect(faultsOf(path, text)).toEqual([expect.stringContaining(message)]);
});

test('a folder that the table does not name is refused', () => {
  expect(faultsOf('src/newcomer/a.ts', 'export const a = 1;')).toEqual([
    'No row in scripts/lint-imports.mjs is for src/newcomer/a.ts.',
  ]);
  expect(faultsOf('src/app.ts', `export { a } from './newcomer/a.ts';`)).toEqual([]);
  expect(faultsOf('src/api/a.ts', `export { a } from '../newcomer/a.ts';`)).toHaveLength(1);
});

test('types may come from where values may not', () => {
  const imports = `import type { A } from '../activities/a.ts';\nimport { type B } from '../activities/a.ts';`;
  expect(faultsOf('workflows/a.ts', `${imports}\nexport type C = A & B;`)).toEqual([]);
});
