import pg from 'pg';

/** A connection of a test's own. Without the listener, its loss would end the whole run. */
export async function openClient(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}
