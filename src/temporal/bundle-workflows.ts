import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleWorkflowCode, type BundleOptions } from '@temporalio/worker';
import { packageRoot } from '../package-root.ts';

/** The workflows as one script, made by `npm run build` and loaded by every worker. */
export const workflowBundlePath = join(packageRoot, 'dist/workflow-bundle.js');
const digestPath = `${workflowBundlePath}.sha256`;
/** The bundle is our few hundred lines and the SDK: much more than that means that something slipped in. */
export const maxBundleBytes = 2_000_000;

/** How workflows are bundled, whosever they are. */
export function bundleOptions(workflowsPath: string): BundleOptions {
  const quiet = () => undefined;
  return {
    workflowsPath,
    // Loaded once a worker, not once a workflow.
    preloadModules: ['@temporalio/workflow'],
    logger: { log: quiet, trace: quiet, debug: quiet, info: quiet, warn: console.warn, error: console.error },
  };
}

/** The bundle as a worker loads it. */
export async function readWorkflowBundle(hasStackTraces: boolean): Promise<{ code: string }> {
  const code = await readFile(workflowBundlePath, 'utf8');
  return { code: hasStackTraces ? code : withoutStackTraces(code) };
}

/** The SDK reads a stack for each promise: that costs a fifth of a workflow. In the same line, so that line numbers stay. */
export const withoutStackTraces = (code: string): string => `Error.stackTraceLimit = 0; ${code}`;

/** Bundles the compiled workflows, unless nothing that goes in has changed since the last time. */
async function bundleWorkflows(): Promise<void> {
  const digest = await digestOfSources();
  if (
    existsSync(workflowBundlePath) &&
    existsSync(digestPath) &&
    (await readFile(digestPath, 'utf8')) === digest
  )
    return;
  const { code } = await bundleWorkflowCode(bundleOptions(join(packageRoot, 'dist/workflows/index.js')));
  await writeFile(workflowBundlePath, code);
  await writeFile(digestPath, digest);
}

async function digestOfSources(): Promise<string> {
  const hash = createHash('sha256').update(await readFile(import.meta.filename));
  for (const folder of ['workflows', 'src/domain']) {
    const path = join(packageRoot, 'dist', folder);
    for (const name of (await readdir(path)).filter((file) => file.endsWith('.js')).sort()) {
      hash.update(name).update(await readFile(join(path, name)));
    }
  }
  hash.update(await readFile(join(packageRoot, 'package-lock.json')).catch(() => 'no lockfile'));
  return hash.digest('hex');
}

if (process.argv[1] === import.meta.filename) await bundleWorkflows();
