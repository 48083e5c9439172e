import pg from 'pg';
import { every } from '../every.ts';
import { connectionOptions } from './pool.ts';

const channel = 'fltr_changes';
/** How often the connection is checked, and how long a statement on it may take. */
const checkMs = 10_000;
const statementMs = 5000;
/** Between two tries to connect. */
const maxPauseMs = 1000;

type Options = {
  databaseUrl: string;
  onMessage: (text: string) => void;
  onConnected: () => void;
  /** Messages may be missed from now on, until it is connected again. */
  onLost: (error: unknown) => void;
};

/** The statement that sends a message to all processes. Not inside a transaction that does anything else: it takes a lock. */
export const notifyStatement = { name: 'notify', text: `select pg_notify('${channel}', $1)` };

/** Receives the messages of the channel, over a connection of its own, which is opened again where it is lost. */
export async function openChangeChannel({ databaseUrl, onMessage, onConnected, onLost }: Options) {
  let client: pg.Client | null = null;
  const drop = (lost: pg.Client, error: unknown): void => {
    // Not awaited: a server that does not respond would delay it.
    lost.end().catch(() => undefined);
    if (client !== lost) return;
    client = null;
    onLost(error);
    loop.wake();
  };
  const connect = async (): Promise<void> => {
    const opened = new pg.Client({
      ...connectionOptions(databaseUrl),
      connectionTimeoutMillis: statementMs,
      statement_timeout: statementMs,
      query_timeout: statementMs,
      application_name: 'fltr-webhooks changes',
    });
    opened.on('error', (error) => drop(opened, error));
    opened.on('end', () => drop(opened, new Error('The connection has ended')));
    opened.on('notification', ({ payload = '' }) => client === opened && onMessage(payload));
    try {
      await opened.connect();
      await opened.query(`listen ${channel}`);
    } catch (error) {
      drop(opened, error);
      throw error;
    }
    client = opened;
    onConnected();
  };
  const first = Promise.withResolvers<void>();
  let isClosed = false;
  const loop = every(
    checkMs,
    async () => {
      if (isClosed) return 'done';
      const current = client;
      if (!current) await connect().finally(first.resolve);
      else await current.query('select 1').catch((error: unknown) => drop(current, error));
      return false;
    },
    onLost,
    { maxPauseMs },
  );
  await first.promise;
  return {
    isConnected: () => client !== null,
    async close(): Promise<void> {
      isClosed = true;
      const current = client;
      client = null;
      await loop.close();
      await current?.end().catch(() => undefined);
    },
  };
}
