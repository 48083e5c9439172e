import { onlyRow, type Client, type Queryable } from './pool.ts';

/** `schema`, `example`: the columns are JSON, so the order of names and the digits stay as written. */
export type EventTypeRow = {
  name: string;
  description: string;
  schema: Record<string, unknown> | null;
  example: Record<string, unknown> | null;
  validation: 'strict' | 'open' | 'none';
  deprecated: boolean;
  revision: string;
};
type NewEventType = Omit<EventTypeRow, 'revision'>;

export const maxEventTypes = 1000;

export async function readEventTypesVersion(db: Queryable): Promise<string> {
  const { rows } = await db.query<{ version: string }>({
    name: 'event-types-version',
    text: 'select version from event_types_version',
  });
  return onlyRow(rows, 'event_types_version').version;
}

/** All types with the version that they belong to, in one statement, so that both are of one moment. */
export async function loadEventTypes(db: Queryable): Promise<{ version: string; types: EventTypeRow[] }> {
  const { rows } = await db.query<
    { version: string } & { [Name in keyof EventTypeRow]: EventTypeRow[Name] | null }
  >(
    `select v.version, name, description, schema, example, validation, deprecated, revision
     from event_types_version v left join event_types on true order by name`,
  );
  const types = rows.filter((row): row is { version: string } & EventTypeRow => row.name !== null);
  return { version: rows[0]?.version ?? '', types };
}

/** Puts the changes of all types in one order, until the transaction ends. */
async function lockVersion(client: Client): Promise<void> {
  await client.query('select 1 from event_types_version for update');
}

/** Counts a change, and returns the number that the changed row gets. */
async function nextVersion(client: Client): Promise<string> {
  const { rows } = await client.query<{ version: string }>(
    'update event_types_version set version = version + 1 returning version',
  );
  return onlyRow(rows, 'update').version;
}

/** Creates a type, or replaces it, in a transaction. `limit_reached`: there are as many as there may be. */
export async function putEventType(
  client: Client,
  type: NewEventType,
): Promise<'created' | 'replaced' | 'limit_reached'> {
  const { name, description, schema, example, validation, deprecated } = type;
  const toJson = (value: unknown) => (value === null ? null : JSON.stringify(value));
  await lockVersion(client);
  const { rows } = await client.query<{ exists: boolean; count: number }>(
    `select coalesce(bool_or(name = $1), false) as exists, count(*)::int as count from event_types`,
    [name],
  );
  const { exists, count } = onlyRow(rows, 'count');
  if (!exists && count >= maxEventTypes) return 'limit_reached';
  await client.query(
    `insert into event_types (name, description, schema, example, validation, deprecated, revision)
     values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (name) do update set description = excluded.description, schema = excluded.schema,
       example = excluded.example, validation = excluded.validation, deprecated = excluded.deprecated,
       revision = excluded.revision, updated_at = now()`,
    [name, description, toJson(schema), toJson(example), validation, deprecated, await nextVersion(client)],
  );
  return exists ? 'replaced' : 'created';
}

/** Deletes a type that no webhook names, in a transaction. `in_use`: one does, and nothing changes. */
export async function deleteEventType(
  client: Client,
  name: string,
): Promise<'deleted' | 'in_use' | 'not_found'> {
  await lockVersion(client);
  // Waits for transactions that make a webhook name it: `lockEventTypes`.
  const found = await client.query(`select 1 from event_types where name = $1 for update`, [name]);
  if (found.rowCount === 0) return 'not_found';
  const named = await client.query(
    `select 1 from webhooks where events @> array[$1] and deleted_at is null limit 1`,
    [name],
  );
  if (named.rowCount !== 0) return 'in_use';
  await nextVersion(client);
  await client.query(`delete from event_types where name = $1`, [name]);
  return 'deleted';
}

/**
 * Locks types that a webhook is about to name, so that none is deleted before the transaction ends. Returns those that exist.
 */
export async function lockEventTypes(client: Client, names: readonly string[]): Promise<Set<string>> {
  const { rows } = await client.query<{ name: string }>(
    `select name from event_types where name = any($1) order by name for key share`,
    [names],
  );
  return new Set(rows.map(({ name }) => name));
}
