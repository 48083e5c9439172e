import type { Pool } from '../../src/db/pool.ts';
import type { Temporal } from '../../src/temporal/client.ts';

/**
 * The tables with a row that holds one of the texts, in any column: as text, or as bytes. A text of hexadecimal digits is also
 * found where it is written so. Whole rows are read, with the long values that PostgreSQL stores apart.
 */
export async function tablesWith(pool: Pool, texts: readonly string[]): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables
     where schemaname not in ('pg_catalog', 'information_schema') order by 1`,
  );
  const needles = texts.flatMap((text) => [text, Buffer.from(text).toString('hex')]);
  const found: string[] = [];
  for (const { name } of rows) {
    const { rowCount } = await pool.query(
      `select 1 from ${name} as stored where exists (
         select 1 from unnest($1::text[]) as needle where position(needle in stored::text) > 0) limit 1`,
      [needles],
    );
    if (rowCount === 1) found.push(name);
  }
  return found;
}

/** The histories of all workflows of a namespace, with their payloads decoded. */
export async function historiesText({ client }: Temporal): Promise<string> {
  const texts: string[] = [];
  for await (const { workflowId, runId } of client.workflow.list()) {
    const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    texts.push(
      JSON.stringify(events, (_name, value: unknown) => {
        const bytes = value as { type?: unknown; data?: number[] } | null;
        if (value instanceof Uint8Array) return Buffer.from(value).toString();
        return bytes?.type === 'Buffer' ? Buffer.from(bytes.data ?? []).toString() : value;
      }),
    );
  }
  return texts.join('\n');
}
