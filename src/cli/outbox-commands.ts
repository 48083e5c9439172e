import type { Command } from 'commander';
import { listRefused, readOutboxStatus, retryRefused } from '../db/outbox-rows.ts';
import { installOutbox, isOutboxMissing, outboxGrants, uninstallOutbox } from '../db/outbox-schema.ts';
import { createPool, withTransaction, type Pool } from '../db/pool.ts';
import type { WithDatabase } from './admin-commands.ts';
import { notFound, wrongUse } from './exit-codes.ts';
import { table } from './table.ts';
import { fields } from './text-output.ts';

type DatabaseOption = { database?: string };

const mostListed = 100;

/** `outbox install|status|refused|retry|uninstall`. */
export function addOutboxCommands(program: Command, withDatabase: WithDatabase): void {
  const outbox = program
    .command('outbox')
    .description('manage an outbox: a table in the database of a producer, whose events the service relays');
  const command = (name: string, description: string): Command =>
    outbox
      .command(name)
      .description(description)
      .option('--database <url>', 'the database of the outbox (default: that of the service)');
  const inDatabase = async (options: DatabaseOption, run: (pool: Pool) => Promise<void>): Promise<void> => {
    try {
      await (options.database === undefined ? withDatabase(run) : withUrl(options.database, run));
    } catch (error) {
      throw isOutboxMissing(error)
        ? notFound('There is no outbox in this database: `fltr-webhooks outbox install` makes it.')
        : error;
    }
  };

  command('install', 'make the schema fltr_outbox, or bring it up to date').action(
    (options: DatabaseOption) =>
      inDatabase(options, async (pool) => {
        await withTransaction(pool, installOutbox);
        console.log('The outbox is installed. Allow the role of a producer to publish:');
        console.log(indented(outboxGrants.producer));
        console.log('Where the service connects as another role than this one, allow that one to relay:');
        console.log(indented(outboxGrants.relay));
        console.log('Then name this database in FLTR_OUTBOX_URLS of the service.');
      }),
  );
  command('status', 'show how many events wait in an outbox, and for how long').action(
    (options: DatabaseOption) =>
      inDatabase(options, async (pool) => {
        const { waiting, oldestSeconds, refused, isRelayed } = await readOutboxStatus(pool);
        const shown = {
          waiting,
          'oldest (s)': Math.round(oldestSeconds),
          refused,
          relay: isRelayed ? 'active' : 'none, or behind a pooler',
        };
        console.log(fields(shown));
      }),
  );
  command('refused', `list the events that were refused, newest first, ${mostListed} at most`).action(
    (options: DatabaseOption) =>
      inDatabase(options, async (pool) => {
        const rows = await listRefused(pool, mostListed);
        const lines = rows.map(({ refusedAt, ...row }) => ({ ...row, refused: refusedAt.toISOString() }));
        console.log(lines.length === 0 ? 'No event was refused.' : table(lines));
      }),
  );
  command('retry [id...]', 'put refused events back: those with these ids')
    .option('--all', 'all of them')
    .action((ids: string[], { all = false, ...options }: DatabaseOption & { all?: boolean }) =>
      inDatabase(options, async (pool) => {
        if (all === ids.length > 0) throw wrongUse('Name the ids of events, or --all.');
        const count = await retryRefused(pool, all ? null : ids);
        if (count === 0 && !all) throw notFound('No refused event has such an id.');
        console.log(`Put back: ${count}.`);
      }),
    );
  command('uninstall', 'remove the schema fltr_outbox')
    .option('--drop-events', 'also where it holds events')
    .action(({ dropEvents = false, ...options }: DatabaseOption & { dropEvents?: boolean }) =>
      inDatabase(options, async (pool) => {
        await withTransaction(pool, (client) => uninstallOutbox(client, dropEvents));
        console.log('The outbox is removed.');
      }),
    );
}

const indented = (lines: readonly string[]): string => lines.map((line) => `  ${line}`).join('\n');

async function withUrl(databaseUrl: string, run: (pool: Pool) => Promise<void>): Promise<void> {
  if (!/^postgres(ql)?:\/\//.test(databaseUrl) || !URL.canParse(databaseUrl))
    throw wrongUse('--database is not a URL like postgres://user:password@host:5432/database.');
  const pool = createPool({ databaseUrl, maxConnections: 1, onError: () => undefined });
  try {
    await run(pool);
  } finally {
    await pool.end();
  }
}
