import pg from 'pg';
import { StartError } from '../errors.ts';
import { sessionSettings, type Client, type Pool } from './pool.ts';

/**
 * Whether each connection of the pool is one session of PostgreSQL. A pooler in between, such as PgBouncer, may drop
 * the settings of a session, or run each transaction in another session, where prepared statements are missing.
 *
 * @throws StartError with the remedy
 */
export async function checkSessions(pool: Pool): Promise<void> {
  const clients: Client[] = [];
  try {
    // Two, because only then can it show that they share a session.
    for (let count = 0; count < 2; count += 1) clients.push(await pool.connect());
    const [one, other] = clients;
    if (!one || !other) return;
    await checkSettings(one);
    await checkPrepared(one, other);
  } catch (error) {
    throw error instanceof pg.DatabaseError && /unsupported startup parameter/i.test(error.message)
      ? refused(`does not let a session start with the settings that it needs (${error.message})`)
      : error;
  } finally {
    // Not used again: one may be inside a transaction.
    for (const client of clients) client.release(true);
  }
}

const refused = (fault: string): StartError =>
  new StartError(
    `DATABASE_URL leads to a pooler, such as PgBouncer with transaction pooling, that ${fault}: connect to PostgreSQL directly, or use session pooling as "PgBouncer" in docs/operating.md describes.`,
  );

async function checkSettings(client: Client): Promise<void> {
  const { rows } = await client.query<{ name: string; value: string }>(
    `select name, current_setting(name) as value from unnest($1::text[]) as name`,
    [[...Object.keys(sessionSettings), 'statement_timeout']],
  );
  const values = new Map(rows.map(({ name, value }) => [name, value]));
  for (const [name, wanted] of Object.entries(sessionSettings)) {
    if (values.get(name) !== wanted)
      throw refused(
        `drops the settings that a session starts with (${name} is ${values.get(name)}, not ${wanted})`,
      );
  }
  if (values.get('statement_timeout') === '0')
    throw refused(
      'drops the settings that a session starts with (statement_timeout is 0, so a statement may run for ever)',
    );
}

/** Sent once in a session, then known there by its name. */
const statement = { name: 'check-sessions', text: 'select 1' };
const lostCodes = new Set([
  '26000', // invalid_sql_statement_name: it was prepared in another session
  '42P05', // duplicate_prepared_statement: another connection has prepared it in this session
]);
/** Where others use the pooler too, the first connection's session may be in use by them at the moment. */
const rounds = 3;

async function checkPrepared(one: Client, other: Client): Promise<void> {
  try {
    for (let round = 0; round < rounds; round += 1) {
      await one.query(statement);
      // Takes the session of the first connection for as long as the transaction lasts, where the two share it.
      await other.query('begin');
      await other.query(statement);
      await one.query(statement);
      await other.query('commit');
    }
  } catch (error) {
    throw error instanceof pg.DatabaseError && lostCodes.has(error.code ?? '')
      ? refused('runs each transaction in another session, where prepared statements are missing')
      : error;
  }
}
