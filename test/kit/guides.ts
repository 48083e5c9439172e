import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { packageRoot } from '../../src/package-root.ts';

/** A fenced block of code: `line` is that of its fence. */
export type Block = { language: string; text: string; line: number };

/** The blocks of code of a Markdown file, in order; `path` is below the package's folder. */
export function blocksOf(path: string): Block[] {
  const markdown = readFileSync(join(packageRoot, path), 'utf8');
  return [...markdown.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].map(({ 1: language, 2: text, index }) => ({
    language: language ?? '',
    text: text ?? '',
    line: markdown.slice(0, index).split('\n').length,
  }));
}

/** The only block of that language. @throws Error */
export function onlyBlock(path: string, language: string): string {
  const found = blocksOf(path).filter((block) => block.language === language);
  if (found.length !== 1) throw new Error(`${path} has ${found.length} blocks of ${language}, not one.`);
  return found[0]?.text ?? '';
}

const run = promisify(execFile);

/** A reader's terminal: blocks run one after the other in `folder`, and keep the variables of those before. */
export function openShell(folder: string, env: Record<string, string>): (script: string) => Promise<string> {
  const programs = join(folder, 'bin');
  const state = join(folder, 'variables.sh');
  mkdirSync(programs);
  const main = join(packageRoot, 'dist/src/main.js');
  writeFileSync(join(programs, 'fltr-webhooks'), `#!/bin/sh\nexec "${process.execPath}" "${main}" "$@"\n`, {
    mode: 0o755,
  });
  writeFileSync(state, '');
  const { PATH = '', HOME = '' } = process.env;
  return async (script) => {
    const whole = `. "${state}"; set -a\n${script}\nexport -p > "${state}"`;
    const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', whole], {
      cwd: folder,
      env: { ...env, HOME, PATH: `${programs}:${PATH}` },
      timeout: 60_000,
    });
    return stdout;
  };
}

/**
 * The first difference between the real response and the one in a guide, as a JSON pointer with both; null where nothing
 * differs. The response may have more fields than are shown. Times, ids, secrets, ports and durations are compared by their
 * kind.
 */
export function difference(shown: unknown, real: unknown, pointer = ''): string | null {
  if (Array.isArray(shown) && Array.isArray(real)) {
    if (shown.length !== real.length) return `${pointer}: ${shown.length} shown, ${real.length} there`;
    return firstOf(shown.map((item, index) => difference(item, real[index], `${pointer}/${index}`)));
  }
  if (isObject(shown) && isObject(real)) {
    return firstOf(
      Object.entries(shown).map(([name, value]) => difference(value, real[name], `${pointer}/${name}`)),
    );
  }
  const [a, b] = [kindOf(shown, pointer), kindOf(real, pointer)];
  return a === b ? null : `${pointer}: ${a} shown, ${b} there`;
}

const firstOf = (differences: (string | null)[]): string | null => differences.find((found) => found) ?? null;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const varying: [RegExp, string][] = [
  [/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>'],
  [/\b(evt|dlv|att|wh|rec|req|key|acc|pl)_[0-9a-z]{10,}/g, '<$1>'],
  [/#token=[\w-]{43}/g, '#token=<token>'],
  [/whsec_[A-Za-z0-9+/=]+/g, '<secret>'],
  [/whpk_[A-Za-z0-9+/=]+/g, '<public key>'],
  [/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '<uuid>'],
  [/(localhost|127\.0\.0\.1):\d+/g, '<host>'],
  [/namespaces\/[^/]+/g, 'namespaces/<name>'],
];

function kindOf(value: unknown, pointer: string): string {
  if (typeof value === 'number' && /(_ms|\/p\d\d)$/.test(pointer)) return '<duration>';
  const text = JSON.stringify(value) ?? 'nothing';
  return varying.reduce((kind, [pattern, name]) => kind.replaceAll(pattern, name), text);
}
