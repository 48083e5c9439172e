import { readFileSync } from 'node:fs';
import { join } from 'node:path';
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
