import fc from 'fast-check';

/** White space, here and there. */
export const space = fc.string({ unit: fc.constantFrom(' ', '\n', '\r', '\t'), maxLength: 3 });
/** Characters that a reader could stumble over, plain and escaped. */
export const text = fc
  .string({
    unit: fc.oneof(
      fc.constantFrom('"', '\\', ',', '[', ']', '{', '}', ':', 'a', ' ', '\u00e9', '✅', '\u2028', '\ufeff'),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }),
    ),
    maxLength: 8,
  })
  .map((value) => JSON.stringify(value));
const escaped = fc
  .array(fc.nat(0xffff), { maxLength: 4 })
  .map((units) => `"${units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')}"`);
const number = fc.oneof(
  fc.constantFrom('0', '-0', '1.50', '1e400', '-1E-7', '9007199254740993', '0.1e+2'),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
);
export const scalar = fc.oneof(text, escaped, number, fc.constantFrom('true', 'false', 'null'));

/** Members or items, with white space around them. */
export const joinJson = (spaces: string[], open: string, parts: string[], close: string) => {
  const [first = '', second = '', third = ''] = spaces;
  return `${open}${first}${parts.join(`${second},${third}`)}${first}${close}`;
};
export const spaces = fc.array(space, { minLength: 3, maxLength: 3 });
/** Any JSON text, and objects alone. */
export const { json, object } = fc.letrec<{ json: string; array: string; object: string }>((tie) => ({
  json: fc.oneof({ depthSize: 'small', withCrossShrink: true }, scalar, tie('array'), tie('object')),
  array: fc
    .tuple(spaces, fc.array(tie('json'), { maxLength: 4 }))
    .map(([around, items]) => joinJson(around, '[', items, ']')),
  object: fc
    .tuple(spaces, fc.uniqueArray(fc.tuple(text, tie('json')), { maxLength: 4, selector: ([name]) => name }))
    .map(([around, members]) =>
      joinJson(
        around,
        '{',
        members.map(([name, value]) => `${name}${around[1] ?? ''}:${around[2] ?? ''}${value}`),
        '}',
      ),
    ),
}));
