import { RE2JS } from 're2js';
import { spend } from './check-budget.ts';

export const maxPatternLength = 1000;
/** States of a pattern times characters of a text that cost one step of the budget. */
const workPerStep = 50;

/**
 * Compiles the patterns of JSON Schemas with the engine of RE2, whose time grows with the text alone: no pattern can block the
 * process. It has no lookaround and no back-references.
 *
 * @throws Error with the fault of the pattern
 * @example linearPattern('^[a-z]+$').test('abc') // true
 */
export function linearPattern(pattern: string): { test: (text: string) => boolean } {
  if (pattern.length > maxPatternLength)
    throw new Error(`has ${pattern.length} characters: ${maxPatternLength} at most`);
  const compiled = RE2JS.compile(RE2JS.translateRegExp(pattern));
  const size = compiled.programSize();
  return {
    test: (text) => {
      spend(1 + Math.ceil((text.length * size) / workPerStep));
      return compiled.test(text);
    },
  };
}

/** As Ajv wants it. The text names the function in code that is generated to be stored, which is never done here. */
export const patternEngine = Object.assign(linearPattern, { code: 'linearPattern' });
