import { setTimeout as delay } from 'node:timers/promises';
import type { Pool } from '../src/db/pool.ts';
import { createTemporal } from '../src/temporal/client.ts';

export type TortureRow = {
  id: string;
  status: string;
  webhookId: string;
  eventId: string;
  /** Without those that got no access token, and so sent nothing. */
  attempts: number;
  workflowId: string | null;
  wasHeld: boolean;
};

export async function readRows(pool: Pool): Promise<TortureRow[]> {
  const { rows } = await pool.query<TortureRow>(
    `select id, owner_id as "workflowId", status, webhook_id as "webhookId", event_id as "eventId", attempt_count - (
         select count(*)::int from attempts a
         where a.delivery_id = d.id and a.error_code = 'auth_failed' and a.status_code is null) as attempts,
       timeline @> '[{"type": "held"}]' as "wasHeld" from deliveries d`,
  );
  return rows;
}

export async function untilEnded(pool: Pool, print: (line: string) => void): Promise<void> {
  const deadline = Date.now() + 900_000;
  let printedAt = 0;
  for (;;) {
    const waiting = await pool
      .query<{ count: number }>(`select count(*)::int as count from deliveries where ended_at is null`)
      .then(({ rows }) => rows[0]?.count ?? 0)
      .catch(() => null);
    if (waiting === 0) return;
    if (Date.now() > deadline) throw new Error(`${waiting} deliveries did not end within 15 minutes`);
    if (Date.now() - printedAt > 10_000) {
      printedAt = Date.now();
      print(`  ${waiting ?? '?'} deliveries wait`);
    }
    await delay(500);
  }
}

/** The longest time without progress. */
export function watchStalls(read: () => number): { stop(): number } {
  let longest = 0;
  let last = read();
  let since = Date.now();
  const timer = setInterval(() => {
    const value = read();
    if (value !== last) since = Date.now();
    last = value;
    longest = Math.max(longest, Date.now() - since);
  }, 100);
  return {
    stop() {
      clearInterval(timer);
      return longest;
    },
  };
}

/**
 * Workflows that were run a second time. Each delivery is owned by its own, by a group's, or by that and then its own; one
 * that was held is run again when its webhook is active again. A workflow whose history has grown long is continued in a new
 * run.
 */
export async function countSecondWorkflows(
  address: string,
  owners: ReadonlySet<string>,
  held: ReadonlySet<string>,
): Promise<number> {
  const temporal = createTemporal({ address, tls: false }, 'default');
  try {
    // Visibility lags a little behind.
    for (let attempt = 0; ; attempt += 1) {
      const runs = new Map<string, number>();
      for await (const { workflowId, status } of temporal.client.workflow.list({
        query: `WorkflowType = 'deliverEvent' or WorkflowType = 'deliverGroup'`,
      })) {
        if (status.name !== 'CONTINUED_AS_NEW') runs.set(workflowId, (runs.get(workflowId) ?? 0) + 1);
      }
      if ([...owners].every((id) => runs.has(id)) || attempt === 30)
        return [...runs].filter(([id, count]) => count > 1 && !held.has(id)).length;
      await delay(1000);
    }
  } finally {
    await temporal.connection.close();
  }
}
