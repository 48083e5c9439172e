import type { Api } from './api-calls.ts';
import { readChanges, type Change } from './changes.ts';
import { readAllRows } from './old-rows.ts';
import { readEventIds, readGoneRecords, type AttemptRow, type DeliveryRow, type GoneRecord } from './rows.ts';
import type { Entry, TimelinePair } from './check-timelines.ts';
import type { World } from './world.ts';
import { readWorkflows, type WorkflowRun } from './workflows.ts';
import type { Model } from './model.ts';
import type { Request } from './receivers.ts';

/** A webhook as the API shows it at the end. */
export type WebhookState = { id: string; path: string; active: boolean };

/** All that the checks read, once everything has ended. */
export type Facts = {
  /** When the run began, by the machine's clock. */
  startedAt: number;
  /** When the rows were read. */
  readAt: number;
  model: Model;
  eventIds: ReadonlySet<string>;
  deliveries: readonly DeliveryRow[];
  attempts: readonly AttemptRow[];
  requests: readonly Request[];
  webhooks: readonly WebhookState[];
  runs: readonly WorkflowRun[];
  changes: readonly Change[];
  goneRecords: readonly GoneRecord[];
  timelines: readonly TimelinePair[];
  logLines: readonly string[];
};

type ShownDelivery = { timeline: Entry[] };

export async function collectFacts(world: World): Promise<Facts> {
  const { model, pool, receivers, processes } = world;
  const webhooks = await readWebhooks(world);
  adoptUnknown(model, webhooks);
  const readAt = Date.now();
  const { deliveries, attempts } = await readAllRows(world);
  const gone = new Set(world.oldRows.map(({ delivery }) => delivery.id));
  const shown = deliveries.filter(({ id }) => !gone.has(id));
  const idsOf = (rows: readonly DeliveryRow[]) => new Set(rows.map(({ id }) => id));
  const attempted = idsOf(shown.filter(({ attemptCount }) => attemptCount > 0));
  // The workflow of a held delivery ends.
  const waiting = idsOf(
    shown.filter(
      ({ status, isScheduled, isBehindOther }) =>
        (status === 'pending' && !isScheduled && !isBehindOther) || status === 'retrying',
    ),
  );
  const [archiveApi, runs] = await Promise.all([
    world.archiveApi(),
    readWorkflows(world, attempted, waiting),
  ]);
  const compared = idsOf(mostEventful(shown, model));
  // Only now: a history is complete once its run is over.
  const live = await readTimelines(world.api, compared);
  const archived = await readTimelines(archiveApi, compared);
  return {
    startedAt: world.startedAt,
    readAt,
    model,
    eventIds: await readEventIds(pool),
    deliveries,
    attempts,
    requests: receivers.requests,
    webhooks,
    runs,
    changes: await readChanges(pool),
    goneRecords: await readGoneRecords(pool),
    timelines: [...compared].map((id) => ({
      id,
      live: live.get(id) ?? null,
      archived: archived.get(id) ?? null,
    })),
    logLines: processes.logLines(),
  };
}

/** The most timelines that are compared: each takes the API without Temporal seconds. */
const mostTimelines = 80;

/** Those with manual actions, then those with the most attempts. */
function mostEventful(deliveries: readonly DeliveryRow[], { actions }: Model): DeliveryRow[] {
  const weight = ({ id, attemptCount }: DeliveryRow) => attemptCount + (actions.has(id) ? 100 : 0);
  return deliveries.toSorted((a, b) => weight(b) - weight(a)).slice(0, mostTimelines);
}

export async function readWebhooks({ api }: Pick<World, 'api'>): Promise<WebhookState[]> {
  const response = await api<{ data: { webhook_id: string; url: string; active: boolean }[] }>(
    'GET',
    '/v1/webhooks?limit=100',
    { expect: [200], isRepeatable: true },
  );
  return (response?.body.data ?? []).map(({ webhook_id: id, url, active }) => ({
    id,
    path: new URL(url).pathname,
    active,
  }));
}

/** A webhook whose creation got no response is found by its path. */
function adoptUnknown(model: Model, webhooks: readonly WebhookState[]): void {
  for (const webhook of model.webhooks)
    webhook.id ??= webhooks.find(({ path }) => path === webhook.path)?.id ?? null;
}

async function readTimelines(api: Api, ids: ReadonlySet<string>): Promise<Map<string, Entry[]>> {
  const timelines = new Map<string, Entry[]>();
  await Promise.all(
    [...ids].map(async (id) => {
      const response = await api<ShownDelivery>('GET', `/v1/deliveries/${id}`, {
        expect: [200],
        isRepeatable: true,
        patienceMs: 20_000,
      });
      if (response?.status === 200) timelines.set(id, response.body.timeline);
    }),
  );
  return timelines;
}
