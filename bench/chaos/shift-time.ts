import type { Pool, PoolClient } from 'pg';

/**
 * Times that move. Events stay: cursors, recoveries and the retention of bodies go by the time of their acceptance, and most
 * of a webhook's own times are compared with it; those that say until when it waits move.
 */
const moved = `(table_name in ('deliveries', 'attempts', 'webhook_stats') or table_name like 'rate\\_limit\\_%'
  or table_name = 'webhooks' and column_name in ('deferred_until', 'health_since', 'next_probe_at', 'ramp_started_at'))`;

type Column = { table: string; column: string };

async function timeColumns(client: PoolClient): Promise<Column[]> {
  const { rows } = await client.query<Column>(
    `select c.table_name as "table", c.column_name as "column" from information_schema.columns c
     join information_schema.tables t using (table_schema, table_name)
     where c.table_schema = 'public' and t.table_type = 'BASE TABLE' and c.is_generated = 'NEVER'
       and c.data_type = 'timestamp with time zone' and ${moved}
     order by 1, 2`,
  );
  return rows;
}

const lockNotAvailable = '55P03';
/** Farther than any time in use, so that moved rows conflict with no other row of a unique index. */
const farHours = 10_000_000;

/**
 * Lets hours pass at once for the database, by moving all times back. Returns when that was, by the machine's clock; null
 * where the tables are locked right now.
 */
export async function shiftTime(pool: Pool, hours: number): Promise<number | null> {
  const client = await pool.connect();
  let isBroken = true;
  try {
    const columns = await timeColumns(client);
    const tables = [...new Set(columns.map(({ table }) => table))];
    const isDone = await shiftLocked(client, tables, columns, hours);
    isBroken = false;
    return isDone ? Date.now() : null;
  } finally {
    client.release(isBroken);
  }
}

async function shiftLocked(
  client: PoolClient,
  tables: readonly string[],
  columns: readonly Column[],
  hours: number,
): Promise<boolean> {
  await client.query('begin');
  try {
    // All or none: waiting for one table while holding another could deadlock with the product.
    await client.query(`lock table ${tables.join(', ')} in access exclusive mode nowait`);
  } catch (error) {
    await client.query('rollback');
    if ((error as { code?: string }).code === lockNotAvailable) return false;
    throw error;
  }
  for (const table of tables) {
    const names = columns.filter((each) => each.table === table).map(({ column }) => column);
    // Far away first: an update changes row by row, and would meet rows that have not moved yet.
    for (const moveHours of [-farHours, farHours - hours]) {
      const set = names.map((name) => `${name} = ${name} + make_interval(hours => ${moveHours})`);
      await client.query(`update ${table} set ${set.join(', ')}`);
    }
  }
  await client.query('commit');
  return true;
}
