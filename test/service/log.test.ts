import { once } from 'node:events';
import { expect, test } from 'vitest';
import { errorForLog } from '../../src/observability/log.ts';
import { asAdmin, createTestDatabase } from '../kit/database.ts';

test('a connection that PostgreSQL ends is logged with its message, and nothing of the connection', async () => {
  const database = await createTestDatabase();
  try {
    const { rows } = await database.pool.query<{ pid: number }>('select pg_backend_pid() as pid');
    const lost = once(database.pool, 'error');
    await asAdmin(`select pg_terminate_backend(${rows[0]?.pid})`);
    const [error] = (await lost) as unknown[];
    // The pool adds it.
    expect(error).toHaveProperty('client');
    const shown = errorForLog(error);
    expect(shown).toMatchObject({ message: expect.stringContaining('terminat') as string, code: '57P01' });
    expect(shown).not.toHaveProperty('client');
  } finally {
    await database.drop();
  }
});
