import type { Facts } from '../../bench/chaos/facts.ts';
import { newModel, type Event, type Webhook } from '../../bench/chaos/model.ts';
import type { AttemptRow, DeliveryRow } from '../../bench/chaos/rows.ts';

export const hourMs = 3_600_000;
export const now = Date.parse('2026-01-01T12:00:00Z');

export const webhook = (more: Partial<Webhook> = {}): Webhook => ({
  id: 'wh_1',
  path: '/1',
  filters: ['*'],
  createSentAt: now - 5000,
  createdAt: now - 4900,
  deleteSentAt: null,
  deletedAt: null,
  activations: 0,
  isDiscarded: false,
  recoveries: 0,
  operations: 0,
  isCanceledInBulk: false,
  policies: [{ value: 'plain', sentAt: 0, doneAt: 0 }],
  ordering: null,
  ...more,
});
export const event = (more: Partial<Event> = {}): Event => ({
  id: 'evt_1',
  type: 'document.deleted',
  labels: [],
  sentAt: now - 4000,
  acceptedAt: now - 3900,
  deliveries: [{ id: 'dlv_1', webhookId: 'wh_1' }],
  deliverAt: null,
  expiresAt: null,
  webhookIds: null,
  orderKey: null,
  batch: null,
  ...more,
});
export const delivery = (more: Partial<DeliveryRow> = {}): DeliveryRow => ({
  id: 'dlv_1',
  eventId: 'evt_1',
  eventType: 'document.deleted',
  webhookId: 'wh_1',
  status: 'delivered',
  reason: null,
  waitReason: null,
  nextAttemptAt: null,
  endedAt: now,
  attemptCount: 1,
  isRescheduled: false,
  isScheduled: false,
  isBehindOther: false,
  parked: 0,
  ...more,
});
export const attempt = (more: Partial<AttemptRow> = {}): AttemptRow => ({
  id: 'att_1',
  deliveryId: 'dlv_1',
  webhookId: 'wh_1',
  number: 1,
  startedAt: now - 3000,
  statusCode: 200,
  outcome: 'delivered',
  isOperational: false,
  isProbe: false,
  ...more,
});
export const request = (more: Partial<Facts['requests'][number]> = {}): Facts['requests'][number] => ({
  at: now - 2990,
  path: '/1',
  eventId: 'evt_1',
  attemptId: 'att_1',
  bodyDigest: 'a',
  authorization: null,
  status: 200,
  endedAt: now - 2980,
  ...more,
});
export const at = (seconds: number) => new Date(now - 4000 + seconds * 1000).toISOString();
export const timeline = [
  { at: at(0), type: 'accepted' },
  { at: at(1), type: 'started' },
  { at: at(1), type: 'attempt' },
  { at: at(2), type: 'ended', status: 'delivered' },
];
export const run = (more: Partial<Facts['runs'][number]> = {}): Facts['runs'][number] => ({
  workflowId: 'dlv_1',
  runId: 'run_1',
  isRunning: false,
  deliveryIds: ['dlv_1'],
  historyLength: 12,
  ...more,
});

/** One event that was delivered; `change` spoils it. */
export function factsOf(change: (facts: Facts) => Partial<Facts> = () => ({})): Facts {
  const model = newModel(2);
  model.webhooks.push(webhook());
  model.events.set('evt_1', event());
  const facts: Facts = {
    startedAt: now - 10_000,
    readAt: now,
    model,
    eventIds: new Set(['evt_1']),
    deliveries: [delivery()],
    attempts: [attempt()],
    requests: [request()],
    webhooks: [{ id: 'wh_1', path: '/1', active: true }],
    runs: [run()],
    changes: [],
    goneRecords: [],
    timelines: [{ id: 'dlv_1', live: timeline, archived: timeline }],
    logLines: ['{"level":"warn","msg":"Temporal is away"}', 'ready'],
  };
  return { ...facts, ...change(facts) };
}
export const waiting = (more: Partial<DeliveryRow> = {}) =>
  delivery({ status: 'pending', endedAt: null, ...more });
