import { onlyRow, type Queryable } from './pool.ts';

/** Connections that the server allows, without those of its superusers. */
export async function readConnectionLimit(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    `select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as count`,
  );
  return onlyRow(rows, 'connection-limit').count;
}
