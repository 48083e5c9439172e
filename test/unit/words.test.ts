import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { packageRoot } from '../../src/package-root.ts';

/**
 * The glossary of CONTRIBUTING.md names one word for each thing. This test finds the words that it replaces, in
 * identifiers, comments, texts and file names.
 */
type Rule = {
  /** Pieces of an identifier, split at capitals and underscores, lower case; a word of a sentence is one piece. */
  piece?: RegExp;
  /** Like `piece`, for identifiers of several pieces only. */
  compound?: RegExp;
  /** In a line. */
  phrase?: RegExp;
  write: string;
};

const declared = '(?:type|const|let|function)';
const article = '(?:a|an|the|its|their|each|every|next|last|first|no|own|free|whose)';
/** By the glossary's word in "do not write". */
const rules: Record<string, Rule> = {
  answer: { piece: /^answer/, write: 'response, respond, return' },
  tell: { piece: /^tell(s|ing)?$/, write: 'emit, record, log, notify, report, say' },
  told: { piece: /^told$/, write: 'emitted, recorded, logged, notified, reported' },
  asked: { piece: /^asked$/, write: 'requested' },
  carrier: { piece: /^carr(y|ying|ier|iers|ies|ied)$/, write: 'owner, own' },
  settle: { piece: /^settl/, write: 'finalize, assign, resolve' },
  sweep: { piece: /^(sweep|swept)/, write: 'reconciler, reconcile' },
  lane: { piece: /^lanes?$/, write: 'queue, rate-limit slot' },
  steer: { piece: /^steer/, write: "control, or the action's name" },
  hook: { piece: /^hooks?$/, write: 'webhook' },
  try: {
    compound: /^tries$/,
    phrase: new RegExp(
      `\\b${article} try\\b|\\btries\\b(?! (?:to|again|it|every|each|the|that|one|another|an?|whether)\\b)`,
      'i',
    ),
    write: 'attempt, attempts',
  },
  turn: {
    compound: /^turns?$/,
    phrase: new RegExp(
      `\\b(?:${article}|${declared}) turns?\\b|(?<!\\bin )\\bturns?\\b(?=[.(:=;,<)\\]])`,
      'i',
    ),
    write: 'permit, capacity',
  },
  place: {
    compound: /^(place|places|placed)$/,
    phrase: new RegExp(
      `(?<!\\bin )\\b(?:${article}|${declared}) places?\\b(?! (?:where|of)\\b)|\\bplaces?\\b(?=[.(:;<])`,
      'i',
    ),
    write: 'permit, slot, target',
  },
  plan: {
    compound: /^(plan|plans|planned|planner)$/,
    phrase: new RegExp(`\\b${declared} plans?\\b`),
    write: 'dispatch, input',
  },
};
/** Words of the glossary that no program can tell from their usual sense. */
const notChecked = ['number', 'put off'];

type Exception = { file?: RegExp; text: RegExp; reason: string };
const exceptions: readonly Exception[] = [
  { file: /^test\/unit\/words\.test\.ts$/, text: /.*/, reason: 'this list itself' },
  {
    file: /^CONTRIBUTING\.md$/,
    text: /^\|.*\|$/,
    reason: 'the glossary, and what stands in tables beside it',
  },
  { text: /\bhookTimeout\b/, reason: "vitest's name" },
  { text: /\bhooksPath\b/, reason: "git's setting" },
  { text: /\bhooks\.slack\.com\b/, reason: "Slack's host" },
  {
    text: /\b(allSettled|PromiseSettledResult|onSettled)\b/,
    reason: "names of JavaScript's promises and of React Query",
  },
  { file: /^src\/outbound\/resolver\.ts$/, text: /\btries: \d/, reason: "an option of Node's resolver" },
  { text: /\bplan9\b/, reason: 'an operating system' },
  { text: /\bReact hooks?\b/, reason: "React's word" },
  { text: /\bhooks?:.*(oxlint|react)/, reason: "the linter's names" },
  {
    file: /^(src\/db\/|bench\/log-fill|test\/service\/(query|kept|log)-plans|test\/kit\/explained-pool)/,
    text: /\b(const )?\w*plan(s|ned|ner)?\w*\b/i,
    reason: "PostgreSQL's query plans",
  },
  {
    text: /\b(query[ -_]?plans?|plan_cache_mode|generic_plan|explained?Plan)\w*/i,
    reason: "PostgreSQL's query plans",
  },
  {
    text: /\b(placeholder|in place\b|take[sn]? place|took place|first place|same place|one place)/i,
    reason: 'plain English',
  },
];

/** Lines without any of these need no closer look. */
const suspect = /answer|tell|told|asked|carr|settl|sweep|swept|lane|steer|hook|tr(y|ies)\b|turn|place|plan/i;
const pieceOf = /[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+/g;

/** The words of a text that the glossary replaces, by line; line 0 is the path. */
export function findForbidden(path: string, text: string): string[] {
  const hits: string[] = [];
  for (const [index, line] of [path, ...text.split('\n')].entries()) {
    if (!suspect.test(line)) continue;
    const allowed = exceptions
      .filter(({ file }) => file === undefined || file.test(path))
      .flatMap((each) => [...line.matchAll(new RegExp(each.text, `g${each.text.flags}`))])
      .map((match) => [match.index, match.index + match[0].length] as const);
    const add = (at: number, word: string, { write }: Rule) => {
      if (allowed.some(([from, to]) => at >= from && at < to)) return;
      hits.push(`${path}:${index}: "${word}" (write: ${write})`);
    };
    for (const token of line.matchAll(/[A-Za-z][\w$]*/g)) {
      const pieces = [...token[0].matchAll(pieceOf)];
      for (const piece of pieces)
        for (const rule of Object.values(rules)) {
          const word = piece[0].toLowerCase();
          if (rule.piece?.test(word) || (pieces.length > 1 && rule.compound?.test(word)))
            add(token.index + piece.index, token[0], rule);
        }
    }
    for (const rule of Object.values(rules))
      if (rule.phrase)
        for (const match of line.matchAll(new RegExp(rule.phrase, `g${rule.phrase.flags}`)))
          add(match.index, match[0], rule);
  }
  return hits;
}

const folders = ['src', 'workflows', 'activities', 'test', 'bench', 'examples', 'docs', 'scripts'];
const isText = /\.(tsx?|mjs|js|py|go|php|rb|java|cs|sh|sql|json|ya?ml|css|html|md)$/;
const isForeign = /(^|\/)(node_modules|dist|venv|__pycache__|\.[^/]*)(\/|$)/;

function listTexts(): string[] {
  const inFolders = folders.flatMap((folder) =>
    readdirSync(join(packageRoot, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(packageRoot, join(entry.parentPath, entry.name))),
  );
  const atTop = readdirSync(packageRoot).filter((name) => name.endsWith('.md'));
  return [...inFolders, ...atTop].filter((path) => isText.test(path) && !isForeign.test(path));
}

describe('the glossary of CONTRIBUTING', () => {
  test('no source, test or document uses a word that the glossary replaces', () => {
    const paths = listTexts();
    expect(paths.length).toBeGreaterThan(300);
    const hits = paths.flatMap((path) => findForbidden(path, readFileSync(join(packageRoot, path), 'utf8')));
    expect(hits, `${hits.length} words`).toEqual([]);
  });

  test('every word of its last column has a rule in this test', () => {
    const text = readFileSync(join(packageRoot, 'CONTRIBUTING.md'), 'utf8');
    const rows = /\| *term *\|.*do not write *\|\n\|[-| ]+\|\n((?:\|.*\|\n)+)/.exec(text)?.[1] ?? '';
    const words = rows
      .split('\n')
      .flatMap((row) => row.split('|').at(-2)?.split(',') ?? [])
      .map((word) => word.replaceAll('`', '').trim())
      .filter(Boolean);
    expect(words.length).toBeGreaterThan(8);
    expect(words.filter((word) => !(word in rules) && !notChecked.includes(word))).toEqual([]);
  });

  test('this check finds each word in identifiers, sentences and file names', () => {
    const bad = [
      'const answerTo = 1;',
      'if (isTold) tell(it);',
      '// The row says who asked_by.',
      'type Carrier = 1; // it carries',
      'settleAll(); sweeper(); steering();',
      'const lanes = hooks;',
      'let tries = 0; // the last try',
      'await turns.take(); // its turn',
      'type Place = 1; // a place is free',
      'planStarts();',
    ];
    const found = findForbidden('src/turns.ts', bad.join('\n')).map((hit) => hit.replace(/ \(.*/, ''));
    expect(found.map((hit) => hit.replace('src/turns.ts:', ''))).toEqual([
      '0: "turns"',
      '1: "answerTo"',
      '2: "isTold"',
      '2: "tell"',
      '3: "asked_by"',
      '4: "Carrier"',
      '4: "carries"',
      '5: "settleAll"',
      '5: "sweeper"',
      '5: "steering"',
      '6: "lanes"',
      '6: "hooks"',
      '7: "tries"',
      '7: "last try"',
      '8: "turns"',
      '8: "its turn"',
      '9: "type Place"',
      '9: "a place"',
      '10: "planStarts"',
    ]);
  });

  test('this check passes the usual words', () => {
    const good = [
      'try { return await retry(webhook); } catch { replace(placeholder); }',
      '// It tries to connect, each in turn, and edits in place of the first.',
      '// The planner chooses; ask for it; a planet; a saucer; turned off.',
      'const webhooks = explain(query_plan);',
    ];
    expect(findForbidden('src/a.ts', good.join('\n'))).toEqual([]);
  });
});
