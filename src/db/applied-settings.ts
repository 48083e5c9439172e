import type { Queryable } from './pool.ts';

/** Stores a setting's value; returns whether it changed. */
export async function applySetting(db: Queryable, name: string, value: string): Promise<boolean> {
  const { rowCount } = await db.query(
    `insert into applied_settings as s (name, value) values ($1, $2)
     on conflict (name) do update set value = excluded.value where s.value <> excluded.value`,
    [name, value],
  );
  return rowCount === 1;
}
