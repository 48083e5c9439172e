import { Client, escapeIdentifier } from 'pg';

/** Creates the database of `url` if it is missing. Throws if the server does not accept queries. */
export async function ensureDatabase(url: string): Promise<void> {
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
