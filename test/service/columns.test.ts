import { afterAll, expect, test } from 'vitest';
import { columns } from '../../src/db/columns.ts';
import { createTestDatabase } from '../kit/database.ts';

const database = await createTestDatabase();
afterAll(() => database.drop());

type Row = {
  name: string | null;
  count: number | null;
  isNew: boolean;
  at: Date | null;
  data: Buffer | null;
};
const given = columns<Row>(
  'g',
  {
    name: ['text', ({ name }) => name],
    count: ['int', ({ count }) => count],
    half: ['float8', ({ count }) => (count === null ? null : count / 2)],
    '"isNew"': ['bool', ({ isNew }) => isNew],
    at: ['timestamptz', ({ at }) => at],
    data: ['bytea', ({ data }) => data],
    json: ['jsonb', ({ name }) => JSON.stringify({ name })],
  },
  2,
);

test('columns are the parameters of a table, and its values', async () => {
  expect(given.table).toBe(
    'unnest((select $2::text[]), $3::int[], $4::float8[], $5::bool[], $6::timestamptz[], $7::bytea[], $8::jsonb[])' +
      ' as g(name, count, half, "isNew", at, data, json)',
  );
  const names = [
    'plain',
    '',
    'NULL',
    '{a,"b"}',
    String.raw`\n \\ "`,
    'two\nlines\t',
    ' é’ 😀 ',
    '"\u007f\u2028" 😀\\\n',
    null,
  ];
  const rows = names.map((name, index): Row => {
    const isEven = index % 2 === 0;
    return {
      name,
      count: isEven ? index : null,
      isNew: isEven,
      at: isEven ? new Date(index) : null,
      data: isEven ? Buffer.from([0, index, 255]) : null,
    };
  });
  const found = await database.pool.query(`select $1::int as one, * from ${given.table}`, [
    1,
    ...given.values(rows),
  ]);
  expect(found.rows).toEqual(
    rows.map((row) => ({
      one: 1,
      ...row,
      half: row.count === null ? null : row.count / 2,
      json: { name: row.name },
    })),
  );
  expect(
    (await database.pool.query(`select 1 from ${given.table} where $1 = 1`, [1, ...given.values([])])).rows,
  ).toEqual([]);
});
