import { setTimeout as sleep } from 'node:timers/promises';
import { Client, escapeIdentifier } from 'pg';
import type { Child, ChildExit } from './supervise.ts';

/** Waits until the database of `url` accepts queries; creates it if it is missing. Returns undefined, or the failure. */
export async function waitUntilReady(
  child: Child,
  url: string,
  deadline: number,
): Promise<string | undefined> {
  let exit: ChildExit | undefined;
  void child.exited.then((how) => (exit = how));
  let last = 'it did not respond in time';
  while (Date.now() < deadline) {
    if (exit !== undefined) return `it exited (${exit.signal ?? `code ${exit.code}`})`;
    try {
      await ensureDatabase(url);
      return undefined;
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      last = message;
      // 28…: wrong password.
      if (code?.startsWith('28')) return message;
    }
    await sleep(50);
  }
  return last;
}

async function ensureDatabase(url: string): Promise<void> {
  try {
    await query(url, 'SELECT 1');
  } catch (error) {
    if ((error as { code?: string }).code !== '3D000') throw error;
    const database = new URL(url).pathname.slice(1);
    await query(url.replace(/[^/]+$/, 'postgres'), `CREATE DATABASE ${escapeIdentifier(database)}`);
    await query(url, 'SELECT 1');
  }
}

async function query(url: string, sql: string): Promise<void> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  // Without a listener, a lost connection would end the process.
  client.on('error', () => {});
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
