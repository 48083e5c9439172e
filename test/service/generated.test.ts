import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openApiDocument } from '../../src/api/openapi.ts';
import { settingsTable } from '../../src/config.ts';
import { migrate } from '../../src/db/migrate.ts';
import { packageRoot } from '../../src/package-root.ts';
import { createTestDatabase } from '../kit/database.ts';

// Generated files are committed, so that a change shows in review. Written anew by:
// npx vitest run --config test/vitest.config.ts test/generated -u
test('openapi.json is up to date', async () => {
  await expect(`${JSON.stringify(openApiDocument(), null, 2)}\n`).toMatchFileSnapshot(
    '../../src/api/openapi.json',
  );
});

test('schema.txt is the schema that the migrations make', async () => {
  const database = await createTestDatabase();
  await migrate(database.pool);
  const columns = await database.pool.query<{ line: string }>(
    `select format('%s.%s %s%s%s', table_name, column_name, data_type,
       case when is_nullable = 'NO' then ' not null' else '' end, ' default ' || column_default) as line
     from information_schema.columns where table_schema = 'public' order by table_name, ordinal_position`,
  );
  const indexes = await database.pool.query<{ line: string }>(
    `select indexdef as line from pg_indexes where schemaname = 'public' order by tablename, indexname`,
  );
  const constraints = await database.pool.query<{ line: string }>(
    `select format('%s: %s', conrelid::regclass, pg_get_constraintdef(oid)) as line from pg_constraint
     where connamespace = 'public'::regnamespace and contype in ('c', 'f') order by 1`,
  );
  const triggers = await database.pool.query<{ line: string }>(
    `select pg_get_triggerdef(oid) as line from pg_trigger where not tgisinternal order by 1`,
  );
  const functions = await database.pool.query<{ line: string }>(
    `select pg_get_functiondef(oid) as line from pg_proc where pronamespace = 'public'::regnamespace order by proname`,
  );
  await database.drop();
  const text = [columns, indexes, constraints, triggers, functions]
    .map(({ rows }) => rows.map(({ line }) => line.trimEnd()).join('\n'))
    .join('\n\n');
  await expect(`${text}\n`).toMatchFileSnapshot('../../src/db/schema.txt');
});

test("docs/settings.md's table is that of src/config.ts", async () => {
  const page = readFileSync(join(packageRoot, 'docs/settings.md'), 'utf8');
  const rows = settingsTable().map(({ name, default: value, meaning }) => [
    `\`${name}\``,
    value === '' ? '' : `\`${value}\``,
    meaning,
  ]);
  const table = markdownTable([['variable', 'default', 'meaning'], ...rows]);
  await expect(page.replace(/^\|.*\|\n(?:^\|.*\|\n)+/m, () => table)).toMatchFileSnapshot(
    '../../docs/settings.md',
  );
});

/** As Prettier writes it; the first row is the head. */
function markdownTable(rows: string[][]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const line = (cells: string[]) => `| ${cells.join(' | ')} |\n`;
  const padded = rows.map((row) => line(row.map((cell, column) => cell.padEnd(widths[column] ?? 0))));
  return [padded[0], line(widths.map((width) => '-'.repeat(width))), ...padded.slice(1)].join('');
}
