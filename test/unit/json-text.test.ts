import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseBatch, parseItem, type BatchItem } from '../../src/api/batch-body.ts';
import { findItems, survey } from '../../src/api/json-scan.ts';
import { countNames, membersOf, repeatedNames } from '../../src/domain/json-text.ts';
import { isSameJson } from '../../src/domain/same-json.ts';
import { joinJson, json, spaces } from '../kit/json-texts.ts';

const batch = fc
  .tuple(spaces, fc.array(json, { maxLength: 6 }), fc.constantFrom('"events"', '"\\u0065vents"'), json)
  .map(
    ([around, items, name, other]) =>
      `${around[0] ?? ''}{${around[1] ?? ''}"[,":${other},${name}${around[2] ?? ''}:${joinJson(around, '[', items, ']')}}`,
  );

test('the items of a batch are cut as JSON.parse sees them', () => {
  fc.assert(
    fc.property(batch, (body) => {
      const whole = JSON.parse(body) as { events: unknown[] };
      const cut = parseBatch(Buffer.from(body)) as { events: BatchItem[] };
      expect(cut.events.map(parseItem)).toEqual(whole.events);
      expect(Object.keys(cut)).toEqual(Object.keys(whole));
    }),
    { numRuns: 500 },
  );
});

/** The result of `JSON.parse` for it, and for the texts that are cut out of it. */
const isJson = (body: string) => {
  try {
    JSON.parse(body);
    return true;
  } catch {
    return false;
  }
};
function isTaken(body: string): boolean {
  try {
    const arrays = Object.values(parseBatch(Buffer.from(body)) as Record<string, BatchItem[]>).filter(
      Array.isArray,
    );
    arrays.flat().forEach(parseItem);
    return true;
  } catch (error) {
    return (error as { code?: string }).code !== 'malformed_json';
  }
}

test('a batch with a character too many, or one too few, is malformed where JSON.parse refuses it', () => {
  const marks = fc.constantFrom('', '"', '\\', ',', '[', ']', '{', '}', ':', '0', 'a', ' ', '\ufeff');
  fc.assert(
    fc.property(batch, fc.nat(), marks, fc.nat(1), (body, place, mark, removed) => {
      const at = place % (body.length + 1);
      // A byte order mark at the start is left out, as it always was.
      const broken = (body.slice(0, at) + mark + body.slice(at + removed)).replace(/^\ufeff/, '');
      if (!isJson(broken)) expect([broken, isTaken(broken)]).toEqual([broken, false]);
    }),
    { numRuns: 1500 },
  );
});

test.each([
  '{"events":[{"a":1},{"b" 1}]}',
  '{"events":[{"é":1},\n  {"b" 1}]}',
  '{"events":[1],"x" 2}',
  '{"events":["😀", 1 2]}',
  '{"events":[1,2',
  '\n{"events":[1,\n2}',
])('%j is malformed at the position that JSON.parse gives', (body) => {
  const messageOf = (run: () => unknown) => {
    try {
      return String(run());
    } catch (error) {
      return (error as Error).message;
    }
  };
  const position = /at position \d+/.exec(messageOf(() => JSON.parse(body)))?.[0] ?? 'none';
  const ours = messageOf(() =>
    (parseBatch(Buffer.from(body)) as { events: BatchItem[] }).events.map(parseItem),
  );
  const before = body.slice(0, Number(position.slice(12))).split('\n');
  expect(ours).toBe(
    `The body is not valid JSON (${position} (line ${before.length} column ${(before.at(-1) ?? '').length + 1})).`,
  );
});

test('a batch that is too large, too deep or too long is refused before anything is parsed', () => {
  // None of these is JSON, so a parser would have refused it for that.
  const thrownBy = (run: () => unknown) => {
    try {
      run();
    } catch (error) {
      return (error as { code: string }).code;
    }
    return 'nothing';
  };
  const eventsOf = (body: string) => (parseBatch(Buffer.from(body)) as { events: BatchItem[] }).events;
  const [large, deep] = eventsOf(
    `{"events":[{nonsense ${'x'.repeat(262_144)}}, {"a":${'[nonsense'.repeat(65)}${']'.repeat(65)}}]}`,
  );
  expect(thrownBy(() => large && parseItem(large))).toBe('body_too_large');
  expect(thrownBy(() => deep && parseItem(deep))).toBe('validation_failed');
  expect(thrownBy(() => eventsOf(`{"events":[${'nonsense,'.repeat(501)}`))).toBe('validation_failed');
  expect(thrownBy(() => eventsOf(`{"events":[], ${'nonsense,'.repeat(8000)}`))).toBe('body_too_large');
  expect(survey(Buffer.from(`{"a":1,"b":${'['.repeat(64)}nonsense`), 65).tooDeep).toBeNull();
  expect(survey(Buffer.from(`{"a":1,"b":${'['.repeat(65)}nonsense`), 65).tooDeep).toEqual({ name: 'b' });
  expect(survey(Buffer.from('['.repeat(66)), 65).tooDeep).toEqual({ name: null });
  expect(survey(Buffer.from(`"${'['.repeat(66)}"`), 65).tooDeep).toBeNull();
  expect(findItems(Buffer.from(`{"events":[${'1,'.repeat(1000)}`), 500)).toHaveLength(501);
});

test('the members of an object are its text without white space', () => {
  fc.assert(
    fc.property(json, (value) => {
      const [member, other] = membersOf(` {\n"a\\u0062" :\t${value} , "c":0}`);
      expect(member?.[0]).toBe('ab');
      expect(other).toEqual(['c', '0']);
      const shown = member?.[1] ?? '';
      expect(isDeepStrictEqual(JSON.parse(shown), JSON.parse(value))).toBe(true);
      // Without strings, no white space is left; with them, that of theirs.
      expect(shown.replaceAll(/"(?:[^"\\]|\\.)*"/g, '')).not.toMatch(/\s/);
      expect(shown.match(/"(?:[^"\\]|\\.)*"/g)).toEqual(value.match(/"(?:[^"\\]|\\.)*"/g));
    }),
    { numRuns: 300 },
  );
  expect(membersOf('{"b":1.50,"10":-0,"2":1e400}')).toEqual([
    ['b', '1.50'],
    ['10', '-0'],
    ['2', '1e400'],
  ]);
  expect(membersOf(' { } ')).toEqual([]);
});

test('names that are repeated are found wherever they stand', () => {
  expect(repeatedNames('{"a":{"b":1,"c":[0,{"d":1,"\\u0064":2}]},"a":2,"b":3}', 9)).toEqual([
    ['a', 'c', 1, 'd'],
    ['a'],
  ]);
  expect(repeatedNames('{"__proto__":1,"__proto__":1,"constructor":1}', 9)).toEqual([['__proto__']]);
  expect(repeatedNames(`{${'"a":1,'.repeat(50)}"b":[{"a":1},{"a":1}]}`, 3)).toHaveLength(3);
  fc.assert(
    fc.property(json, (value) => {
      expect(repeatedNames(value, 9)).toEqual([]);
      expect(survey(Buffer.from(value), 65).names).toBe(countNames(JSON.parse(value)));
    }),
  );
});

test('the same JSON is the same in any order and form, and numbers differ in every digit', () => {
  for (const [one, other] of [
    ['{"a":1,"b":[2,{"c":null,"d":true}]}', '{"b":[2,{"d":true,"c":null}],"a":1}'],
    ['1.50', '15e-1'],
    ['100', '0.001E+5'],
    ['"\\u0041\\n"', '"A\\u000a"'],
    ['0', '0.0e7'],
    ['{"__proto__":1,"b":2}', '{"b":2,"__proto__":1}'],
  ] as const)
    expect([one, isSameJson(one, other)]).toEqual([one, true]);
  for (const [one, other] of [
    ['9007199254740993', '9007199254740992'],
    ['1e400', '1e401'],
    ['1e400', 'null'],
    ['0', '-0'],
    ['"n1e0"', '1'],
    ['"1"', '1'],
    ['[1,2]', '[2,1]'],
    ['{"__proto__":1}', '{}'],
    ['0.1', '0.10000000000000000001'],
  ] as const)
    expect([one, isSameJson(one, other)]).toEqual([one, false]);
});
