type Value = string | number | boolean | Date | Buffer | null;
type Type = 'text' | 'jsonb' | 'int' | 'float8' | 'bool' | 'timestamptz' | 'bytea';

/** Columns by name. */
export type Columns<Row> = Readonly<Record<string, readonly [type: Type, valueOf: (row: Row) => Value]>>;

/**
 * Rows as a table of a statement, one array parameter for each column. Name, type and value of a column are in one entry.
 *
 * @param alias the name of the table in the statement
 * @param first the number of the first parameter
 * @example const given = columns<{ id: string }>('g', { id: ['text', ({ id }) => id] });
 *   given.table // 'unnest((select $1::text[])) as g(id)'
 *   given.values([{ id: 'a' }, { id: 'b' }]) // ['{"a","b"}']
 */
export function columns<Row>(alias: string, list: Columns<Row>, first = 1) {
  const parameters = Object.values(list).map(([type], index) =>
    index === 0 ? arrayOfUnknownLength(first, type) : `$${first + index}::${type}[]`,
  );
  return {
    table: `unnest(${parameters.join(', ')}) as ${alias}(${Object.keys(list).join(', ')})`,
    values: (rows: readonly Row[]): string[] =>
      Object.values(list).map(([, valueOf]) => arrayLiteral(rows.map(valueOf))),
  };
}

/**
 * An array parameter whose length the planner does not see. One such array in a statement is enough.
 *
 * PostgreSQL keeps the plan of a named statement only if it does not expect a plan for the actual values to be cheaper. For an
 * array of one or two it would, since it assumes ten for an unknown length. It would then plan each time: 2 ms for a statement
 * that takes 0.3.
 */
export const arrayOfUnknownLength = (parameter: number, type: Type): string =>
  `(select $${parameter}::${type}[])`;

/** @example arrayLiteral(['a', null]) // '{"a",NULL}' */
export const arrayLiteral = (values: readonly Value[]): string => `{${values.map(toLiteral).join(',')}}`;

/** Not left to pg, which writes arrays of any depth and kind: that takes a good part of a publish's time. */
function toLiteral(value: Value): string {
  if (value === null) return 'NULL';
  if (value instanceof Date) return `"${value.toISOString()}"`;
  if (Buffer.isBuffer(value)) return String.raw`"\\x${value.toString('hex')}"`;
  const text = String(value);
  // As JSON does it, which is several times faster, where JSON escapes nothing else.
  return escapedInJson.test(text) ? `"${text.replace(/["\\]/g, String.raw`\$&`)}"` : JSON.stringify(text);
}

/** Control characters and surrogates. */
// oxlint-disable-next-line no-control-regex -- they are the characters to find
const escapedInJson = /[\u0000-\u001f\ud800-\udfff]/;
