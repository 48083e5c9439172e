import { spawn, type ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import type { Pool } from '../src/db/pool.ts';

export type Call = (
  key: string,
  method: string,
  path: string,
  body: unknown,
  refusals?: readonly number[],
) => Promise<unknown>;

type Options = {
  call: Call;
  pool: Pool;
  /** Each webhook with a key of its account. */
  webhooks: readonly { id: string; key: string }[];
  /** Deliveries that were accepted so far, with a key of their account. */
  accepted: readonly { id: string; key: string }[];
};

export type Disturbances = {
  /** Deliveries whose cancelation was requested: they may end either way. */
  canceled: ReadonlySet<string>;
  counts: { pauses: number; cancels: number; cuts: number };
  /** Ends, with every webhook active. */
  stop(): Promise<void>;
};

const pick = <T>(items: readonly T[]): T | undefined => items[Math.floor(Math.random() * items.length)];

/** The disturbances beside the kills: webhooks are paused and activated, deliveries canceled, connections cut. */
export function startDisturbances({ call, pool, webhooks, accepted }: Options): Disturbances {
  const canceled = new Set<string>();
  const counts = { pauses: 0, cancels: 0, cuts: 0 };
  const stop = new AbortController();
  const pause = async (): Promise<void> => {
    const webhook = pick(webhooks);
    if (!webhook) return;
    const set = (active: boolean) => call(webhook.key, 'PATCH', `/v1/webhooks/${webhook.id}`, { active });
    await set(false);
    await delay(Math.random() * 1500);
    await set(true);
    counts.pauses += 1;
  };
  const cancel = async (): Promise<void> => {
    const delivery = pick(accepted.slice(-50));
    if (!delivery) return;
    canceled.add(delivery.id);
    // 409: it has ended.
    await call(delivery.key, 'POST', `/v1/deliveries/${delivery.id}/cancel`, undefined, [409]);
    counts.cancels += 1;
  };
  const cut = async (): Promise<void> => {
    // Fails where PostgreSQL is killed at this moment.
    await pool
      .query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where application_name like 'fltr-webhooks%' and pid <> pg_backend_pid()`,
      )
      .catch(() => undefined);
    counts.cuts += 1;
  };
  const loop = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      await delay(200 + Math.random() * 1000);
      await pick([pause, pause, cancel, cancel, cut])?.();
    }
  };
  const running = loop();
  return {
    canceled,
    counts,
    async stop() {
      stop.abort();
      await running;
    },
  };
}

/** Processes that use a core each, as a busy machine's do. They end with this process, however it ends. */
export function startBusyLoops(count: number): { stop(): void } {
  const loop = 'const { ppid } = process; while (process.ppid === ppid);';
  const loops: ChildProcess[] = Array.from({ length: count }, () =>
    spawn(process.execPath, ['-e', loop], { stdio: 'ignore' }),
  );
  return { stop: () => loops.forEach((child) => child.kill('SIGKILL')) };
}
