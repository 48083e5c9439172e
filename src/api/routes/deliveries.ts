import { z } from 'zod';
import {
  deliverySchema,
  deliverySummarySchema,
  rescheduleSchema,
  timeToCome,
  type Delivery,
} from '../../contracts/delivery.ts';
import type { ApiKey } from '../../db/api-keys-table.ts';
import { findDeliveryWithAttempts, type StoredAttempt } from '../../db/attempts.ts';
import {
  findDelivery,
  showRescheduled,
  toSummary,
  type DeliveryRow,
  type FoundDelivery,
} from '../../db/deliveries-table.ts';
import { findWhyRemoved } from '../../db/event-log.ts';
import { checkQueue } from '../../db/queue-checks.ts';
import { findWebhook } from '../../db/webhooks-table.ts';
import type { Deps } from '../../deps.ts';
import { ApiError } from '../../errors.ts';
import { cancelDelivery, rescheduleDelivery, retryDelivery } from '../../dispatch/signal.ts';
import { readStory } from '../../temporal/history.ts';
import { accountOf } from '../auth.ts';
import { maxAheadMs } from '../event-options.ts';
import { fault, payloadRemoved, requireFound, validationError } from '../problem-details.ts';
import { routesWithTag } from '../route.ts';
import { toAttempt } from './attempt-view.ts';

const defineRoute = routesWithTag('Deliveries');

async function requireDelivery({ pool }: Deps, key: ApiKey, id: string): Promise<FoundDelivery> {
  return requireFound(await findDelivery(pool, accountOf(key), id), 'delivery');
}

async function toDelivery(
  deps: Deps,
  key: ApiKey,
  row: FoundDelivery,
  stored: readonly StoredAttempt[],
): Promise<Delivery> {
  const {
    attempt_count: _count,
    last_status_code: _status,
    last_error_code: _error,
    ...summary
  } = toSummary(row);
  const story = await readStory(deps.temporal, row);
  // The facts come from the history; responses are never in it, so they come from the rows.
  const facts = new Map(story.attempts.map((attempt) => [attempt.id, attempt]));
  const attempts = await Promise.all(
    stored.map((attempt) => {
      const fact = facts.get(attempt.id);
      // The row alone has the status of a response that is not valid HTTP.
      const { statusCode } = attempt;
      const known = fact ? { ...attempt, ...fact, statusCode, startedAt: new Date(fact.startedAt) } : attempt;
      return toAttempt(known, row);
    }),
  );
  const { runId } = row;
  const workflowId = row.ownerId ?? row.id;
  const { temporalUiUrl, temporal } = deps;
  const url =
    temporalUiUrl === null || runId === null || key.portal !== undefined
      ? null
      : `${temporalUiUrl}/namespaces/${encodeURIComponent(temporal.namespace)}/workflows/${workflowId}/${runId}/history`;
  return { ...summary, attempts, timeline: story.timeline, workflow: { id: workflowId, run_id: runId, url } };
}

const conflict = (detail: string) => new ApiError('delivery_state_conflict', detail);
const changedMeanwhile = () =>
  conflict('It was changed during the request. Read it, then send the request again.');

const hasExpired = ({ expiresAt }: DeliveryRow, at = new Date()): boolean =>
  expiresAt !== null && expiresAt <= at;

/** Whether a delivery's state and its webhook allow another attempt. @throws ApiError */
async function requireRetryable({ pool }: Deps, row: DeliveryRow, isForced: boolean): Promise<void> {
  const webhook = await findWebhook(pool, row.accountId, row.webhookId);
  if (row.status === 'delivered' && !isForced) {
    throw conflict('It was delivered. Add ?force=true to send it again.');
  }
  if (!webhook) throw conflict('Its webhook was deleted.');
  if (row.status === 'canceled' && row.reason === 'expunged') throw payloadRemoved('expunged');
  if (hasExpired(row))
    throw conflict(
      'Its expires_at has passed, so it is not sent again. Publish the event under a new id instead.',
    );
  if (row.status === 'canceled') throw conflict('It was canceled. Publish the event under a new id instead.');
  if (!webhook.active)
    throw conflict(
      row.status === 'held'
        ? 'Its webhook is not active. Activate the webhook: its held deliveries are then delivered.'
        : 'Its webhook is not active. Activate the webhook, then retry.',
    );
  requireNotInLine(row);
  const removed = await findWhyRemoved(pool, row.accountId, row.eventId);
  if (removed) throw payloadRemoved(removed);
}

/** @throws ApiError */
function requireNotInLine({ waitsForId }: DeliveryRow): void {
  if (waitsForId !== null)
    throw conflict(
      `It begins after ${waitsForId}, which is before it in its order. Retry or cancel that one instead.`,
    );
}

export const deliveryRoutes = [
  defineRoute('get', '/v1/deliveries/{id}', 'getDelivery', {
    summary: 'Get a delivery with its attempts and its timeline',
    description:
      "The timeline is built from the history of the delivery's workflow. Once the history is past its retention, or while Temporal is unavailable, it comes from the archive and is the same.",
    scope: 'webhooks:read',
    replies: { 200: { description: 'The delivery', schema: deliverySchema } },
    async handle({ deps, key, id }) {
      const found = await findDeliveryWithAttempts(deps.pool, accountOf(key), id);
      const { delivery, attempts } = requireFound(found, 'delivery');
      return { status: 200, body: await toDelivery(deps, key, delivery, attempts) };
    },
  }),
  defineRoute('post', '/v1/deliveries/{id}/retry', 'retryDelivery', {
    summary: 'Attempt a delivery now',
    description:
      'A waiting delivery makes its next attempt now. A failed one starts again with one attempt and a fresh schedule. A delivered one needs `force=true`.',
    scope: 'webhooks:write',
    query: z.strictObject({
      force: z
        .enum(['true', 'false'])
        .optional()
        .meta({ description: 'Also retry a delivery that was delivered.' }),
    }),
    replies: { 202: { description: 'Requested', schema: deliverySummarySchema } },
    errors: ['delivery_state_conflict', 'payload_removed'],
    async handle({ deps, key, id, query }) {
      const row = await requireDelivery(deps, key, id);
      await requireRetryable(deps, row, query.force === 'true');
      if (!(await retryDelivery(deps.signals, row, key.id))) throw changedMeanwhile();
      deps.log.info({ delivery: id, by: key.id, action: 'retry' }, 'requested for a delivery');
      return { status: 202, body: toSummary(await requireDelivery(deps, key, id)) };
    },
  }),
  defineRoute('post', '/v1/deliveries/{id}/cancel', 'cancelDelivery', {
    summary: 'Cancel a waiting delivery',
    description:
      'Also one that has failed and holds up those behind it, where its webhook has `ordering` and `on_failure: "block"`.',
    scope: 'webhooks:write',
    replies: { 202: { description: 'Requested', schema: deliverySummarySchema } },
    errors: ['delivery_state_conflict'],
    async handle({ deps, key, id }) {
      const row = await requireDelivery(deps, key, id);
      if (row.endedAt && !row.blocksLine) throw conflict(`It has ended: ${row.status}.`);
      if (!(await cancelDelivery(deps.signals, id, key.id))) throw changedMeanwhile();
      await checkQueue(deps.pool, row.webhookId);
      deps.log.info({ delivery: id, by: key.id, action: 'cancel' }, 'requested for a delivery');
      return { status: 202, body: toSummary(await requireDelivery(deps, key, id)) };
    },
  }),
  defineRoute('patch', '/v1/deliveries/{id}', 'rescheduleDelivery', {
    summary: 'Reschedule the next attempt of a waiting delivery',
    description:
      'At most 30 days ahead. The hourly cap applies at that time too. While an attempt is under way, the time counts only if that attempt is to be retried.',
    scope: 'webhooks:write',
    body: rescheduleSchema,
    bodyExample: { next_attempt_at: timeToCome },
    replies: { 200: { description: 'The delivery as it is now', schema: deliverySummarySchema } },
    errors: ['delivery_state_conflict'],
    async handle({ deps, key, id, body }) {
      const row = await requireDelivery(deps, key, id);
      const until = new Date(body.next_attempt_at);
      const aheadMs = until.getTime() - Date.now();
      if (aheadMs < 0 || aheadMs > maxAheadMs) {
        throw validationError([fault('/next_attempt_at', 'must be in the future, at most 30 days ahead')]);
      }
      if (row.status !== 'pending' && row.status !== 'retrying') {
        throw conflict(`It is not waiting for an attempt: ${row.status}.`);
      }
      requireNotInLine(row);
      if (hasExpired(row, until))
        throw validationError([fault('/next_attempt_at', 'must be before the expires_at of the delivery')]);
      const request = { by: key.id, until: until.toISOString() };
      if (!(await rescheduleDelivery(deps.signals, id, request))) throw changedMeanwhile();
      await showRescheduled(deps.pool, id, until);
      await checkQueue(deps.pool, row.webhookId);
      deps.log.info({ delivery: id, by: key.id, action: 'reschedule' }, 'requested for a delivery');
      return { status: 200, body: toSummary(await requireDelivery(deps, key, id)) };
    },
  }),
];
