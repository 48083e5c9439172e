import type { Webhook } from '../../src/contracts/webhook.ts';
import { passTime } from './pass-time.ts';
import { startReceiver, type Received, type Receiver } from './test-receiver.ts';
import { until, type Service } from './service.ts';

/** `refuses`: responds with 400. `hangs`: no response. */
export type Behaviour = 'up' | 'down' | 'refuses' | 'hangs';
const statuses = { up: 200, down: 503, refuses: 400 } as const;

/** A receiver that can be down; its requests by its state then. */
export type FickleReceiver = Receiver & {
  behave(as: Behaviour): void;
  /** Requests that it took while it was up. */
  taken: Received[];
  /** How many it did not take. */
  refused(): number;
};

export async function startFickleReceiver(): Promise<FickleReceiver> {
  let behaviour: Behaviour = 'up';
  const taken: Received[] = [];
  const receiver = await startReceiver((request, response) => {
    if (behaviour === 'hangs') return;
    if (behaviour === 'up') taken.push(request);
    response.writeHead(statuses[behaviour]).end();
  });
  return {
    ...receiver,
    taken,
    behave: (as) => void (behaviour = as),
    refused: () => receiver.requests.length - taken.length,
  };
}

/** Changes a webhook's row, and has its queue checked at once. */
export async function setWebhook({ pool }: Service, id: string, assignments: string): Promise<void> {
  await pool.query(`update webhooks set ${assignments} where id = $1`, [id]);
  await pool.query(
    `insert into rate_limit_queues (webhook_id, check_at) values ($1, now())
     on conflict (webhook_id) do update set check_at = excluded.check_at`,
    [id],
  );
}

/** Deletes the webhooks of the service's first account. */
export async function deleteWebhooks(service: Service): Promise<void> {
  const { body } = await service.call<{ data: { webhook_id: string }[] }>('GET', '/v1/webhooks');
  for (const { webhook_id: id } of body.data) await service.call('DELETE', `/v1/webhooks/${id}`);
}

/** The pacing in the row of a webhook. */
export async function readPacing({ pool }: Service, webhookId: string) {
  const { rows } = await pool.query<{
    nextProbeAt: Date | null;
    inSeconds: number | null;
    probes: number;
    rampStartedAt: Date | null;
    state: string;
  }>(
    `select next_probe_at as "nextProbeAt", extract(epoch from next_probe_at - now())::float8 as "inSeconds",
       failed_probes as probes, ramp_started_at as "rampStartedAt", health_state as state from webhooks where id = $1`,
    [webhookId],
  );
  const [row] = rows;
  if (!row) throw new Error('no such webhook');
  return row;
}

/** Waits until the webhook is paced and all of its attempts under way are recorded. */
export async function untilPaced(service: Service, webhookId: string) {
  const pacing = await until(
    () => readPacing(service, webhookId),
    ({ nextProbeAt }) => nextProbeAt !== null,
  );
  await untilQuiet(service, webhookId);
  return pacing;
}

/** Waits until no delivery of the webhook is about to be attempted: each waits for a time. */
export async function untilQuiet({ pool }: Service, webhookId: string): Promise<void> {
  await until(
    async () =>
      (
        await pool.query<{ open: number }>(
          `select count(*)::int as open from deliveries d
           where webhook_id = $1 and status in ('pending', 'retrying')
             and (next_attempt_at is null or next_attempt_at <= now()
               or exists (select 1 from rate_limit_grants g where g.delivery_id = d.id))`,
          [webhookId],
        )
      ).rows[0]?.open,
    (open) => open === 0,
  );
}

/** Lets the time of the next probe come, and waits until it was made. Returns the pacing since. */
export async function probeNow(service: Service, webhookId: string, receiver: Receiver) {
  const before = receiver.requests.length;
  const { inSeconds } = await readPacing(service, webhookId);
  await passTime(service.pool, Math.max(0, inSeconds ?? 0) + 0.1);
  await until(
    () => receiver.requests.length,
    (count) => count > before,
  );
  return readPacing(service, webhookId);
}

export const readWebhook = async (service: Service, id: string): Promise<Webhook> =>
  (await service.call<Webhook>('GET', `/v1/webhooks/${id}`)).body;
