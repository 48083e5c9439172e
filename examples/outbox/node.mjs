// Saves a document and publishes an event in one transaction; a second transaction is rolled back and sends nothing.
// Usage: DATABASE_URL=postgres://… ACCOUNT_ID=acc_… node examples/outbox/node.mjs
import { randomUUID } from 'node:crypto';
import pg from 'pg';

const { DATABASE_URL: connectionString, ACCOUNT_ID: accountId } = process.env;
if (!connectionString || !accountId) {
  process.stderr.write('Set DATABASE_URL and ACCOUNT_ID.\n');
  process.exit(1);
}

/** Runs `run` in a transaction: committed when it returns, rolled back when it throws. */
async function inTransaction(client, run) {
  await client.query('begin');
  try {
    const result = await run();
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}

async function saveDocument(client, title) {
  const id = `doc_${randomUUID()}`;
  await client.query('insert into documents (id, title) values ($1, $2)', [id, title]);
  // As text: it is sent exactly as it is written here.
  const data = JSON.stringify({ document_id: id, dataset_id: 'ds_1', chunks_created: 47 });
  const { rows } = await client.query(
    `select fltr_outbox.publish('document.processed', $1, account => $2) as event`,
    [data, accountId],
  );
  return rows[0].event;
}

const client = new pg.Client({ connectionString });
await client.connect();
await client.query('create table if not exists documents (id text primary key, title text not null)');

const event = await inTransaction(client, () => saveDocument(client, 'Kept'));
process.stdout.write(`committed ${event}\n`);

try {
  await inTransaction(client, async () => {
    const lost = await saveDocument(client, 'Never saved');
    process.stdout.write(`rolled back ${lost}\n`);
    throw new Error('something after it has failed');
  });
} catch (error) {
  process.stdout.write(`${error.message}\n`);
}
await client.end();
