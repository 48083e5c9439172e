import { setTimeout as delay } from 'node:timers/promises';
import { setPolicyOf } from './act-policies.ts';
import { publishTo } from './act-publish.ts';
import { activate, choose, usable } from './act-webhooks.ts';
import { readWebhooks } from './facts.ts';
import type { Webhook } from './model.ts';
import type { Policy } from './policies.ts';
import type { Behaviour } from './receivers.ts';
import { endProbeWait, isPaced } from './rows.ts';
import type { World } from './world.ts';

export type Outage = {
  webhook: number;
  /** Events that arrive once it is paced. */
  more: number;
  /** How long it is paced before its next probe. */
  ms: number;
  /** `probe`: the next probe succeeds. `twice`: one fails before. `hours`: it is good, and the probe comes when hours pass. */
  end: 'probe' | 'twice' | 'hours' | 'stays';
};

type Usable = Webhook & { id: string };

/** More than the failures in a row that make a webhook paced. */
const failingEvents = 25;
const pacedMs = 6000;
const betweenProbesMs = 1500;
const respondedMs = 2500;
const backMs = 1000;

/** The receiver of a webhook that probes is down until the webhook is paced, and beside the next steps for a while longer. */
export async function takeDown(world: World, { webhook: index, more, ms, end }: Outage): Promise<void> {
  const { pool, model, receivers } = world;
  const webhook = await prepare(world, chooseFree(world, index), 'probing', 'failing');
  if (!webhook) return;
  await publishTo(world, webhook.id, failingEvents);
  const deadline = Date.now() + pacedMs;
  // While PostgreSQL is restarted, it is not known.
  const isPacedNow = () => isPaced(pool, webhook.id).catch(() => false);
  while (Date.now() < deadline && model.faults.length === 0 && !(await isPacedNow())) await delay(100);
  await publishTo(world, webhook.id, more);
  const takeUp = async (): Promise<void> => {
    await delay(ms);
    if (end === 'stays') return;
    if (end === 'twice') {
      await probeNow(world, webhook);
      await delay(betweenProbesMs);
    }
    receivers.behave(webhook.path, 'good');
    if (end !== 'hours') await probeNow(world, webhook);
  };
  world.inBackground('publishing', takeUp());
}

/** Without PostgreSQL, the time does not come. */
const probeNow = ({ pool }: World, { id }: Usable): Promise<void> =>
  endProbeWait(pool, id).catch(() => undefined);

export type Response = { webhook: number; events: number };

/** Its receiver is gone for good, and the webhook disabled, until somebody activates it. */
export async function respondGone(
  world: World,
  { webhook: index, events, isBack }: Response & { isBack: boolean },
): Promise<void> {
  const webhook = await prepare(world, choose(world, index), 'gone', 'gone');
  if (!webhook) return;
  await publishTo(world, webhook.id, events);
  await untilResponded(world, webhook, 410);
  if (!isBack) return;
  const comeBack = async (): Promise<void> => {
    await delay(backMs);
    world.receivers.behave(webhook.path, 'good');
    await activate(world, webhook);
  };
  world.inBackground('publishing', comeBack());
}

/** Its receiver responds 429 and names a time; until then the whole webhook waits. */
export async function respondBusy(world: World, { webhook: index, events }: Response): Promise<void> {
  const webhook = await prepare(world, choose(world, index), 'obeying', 'busy');
  if (!webhook) return;
  await publishTo(world, webhook.id, 3);
  await untilResponded(world, webhook, 429);
  world.inBackground('publishing', publishTo(world, webhook.id, events));
}

/** Its receiver takes longer than ten seconds at times, and its webhook allows that. */
export async function respondLate(world: World, { webhook: index, events }: Response): Promise<void> {
  const webhook = await prepare(world, choose(world, index), 'patient', 'late');
  if (webhook) await publishTo(world, webhook.id, events);
}

/** Unless something else limits the webhook. */
async function untilResponded({ receivers, model }: World, { path }: Usable, status: number): Promise<void> {
  const from = Date.now();
  const hasResponded = () =>
    receivers.requests.some(
      (each) => each.path === path && each.at > from - backMs && each.status === status,
    );
  while (Date.now() < from + respondedMs && model.faults.length === 0 && !hasResponded()) await delay(50);
}

/** An active webhook with that policy and receiver. */
async function prepare(
  world: World,
  webhook: Usable | null,
  policy: Policy,
  behaviour: Behaviour,
): Promise<Usable | null> {
  if (!webhook) return null;
  world.receivers.behave(webhook.path, behaviour);
  await setPolicyOf(world, webhook, policy);
  const shown = (await readWebhooks(world)).find(({ id }) => id === webhook.id);
  if (shown?.active === false) await activate(world, webhook);
  return webhook;
}

/** If possible one without an order: a line makes one attempt at a time. */
function chooseFree(world: World, index: number): Usable | null {
  const free = usable(world).filter(({ ordering }) => ordering === null);
  return free[index % free.length] ?? choose(world, index);
}
