import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '../../src/package-root.ts';

const file = '.github/workflows/ci.yml';
const read = (name: string) => readFileSync(join(packageRoot, name), 'utf8');
const workflow = read(file);

test('CI runs scripts that there are, and keys its cache by files that there are', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const called = [...workflow.matchAll(/\bnpm (?:run )?([a-z:]+)\b/g)].map(([, name = '']) => name);
  expect(called).toEqual(expect.arrayContaining(['ci', 'test', 'chaos', 'torture']));
  expect(called.filter((name) => name !== 'ci' && !(name in scripts))).toEqual([]);
  const [, keys = ''] = /hashFiles\((.+?)\)/.exec(workflow) ?? [];
  for (const [, path = ''] of keys.matchAll(/'(\w[^'*]*)/g))
    expect(existsSync(join(packageRoot, path)), path).toBe(true);
});

test('each action is pinned to a version', () => {
  const actions = [...workflow.matchAll(/uses: (\S+)/g)].map(([, action]) => action);
  expect(actions.length).toBeGreaterThan(2);
  expect(actions.filter((action) => !/^actions\/[a-z-]+@v\d+$/.test(action ?? ''))).toEqual([]);
});

const parse = 'import json, sys, yaml; json.dump(yaml.load(open(sys.argv[1]), yaml.BaseLoader), sys.stdout)';
const parsed = spawnSync('python3', ['-c', parse, join(packageRoot, file)], { encoding: 'utf8' });
const hasYaml =
  parsed.status === 0 || !/ModuleNotFoundError|ImportError/.test(parsed.stderr ?? 'ImportError');

type Job = {
  if: string;
  strategy: { matrix: { node?: string[]; postgres?: string[]; command?: string[] } };
  steps: { uses?: string; run?: string }[];
};

test.skipIf(!hasYaml)('CI tests each version of PostgreSQL, and looks for faults at night', () => {
  const { on, jobs } = JSON.parse(parsed.stdout) as { on: object; jobs: Record<'test' | 'nightly', Job> };
  expect(Object.keys(on)).toEqual(['push', 'pull_request', 'schedule', 'workflow_dispatch']);
  const { matrix } = jobs.test.strategy;
  expect(matrix.postgres).toEqual(['15', '16', '17', '18']);
  expect(matrix.node).toEqual([read('.nvmrc').trim().split('.')[0]]);
  expect(jobs.test.steps.slice(-2)).toEqual([
    { run: 'npm ci' },
    { run: "${{ matrix.command || 'npm test' }}" },
  ]);
  expect(jobs.nightly.if).toContain('schedule');
  expect(jobs.nightly.strategy.matrix.command).toHaveLength(2);
});
