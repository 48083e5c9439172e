import { z } from 'zod';
import { webhookNameSchema } from '../../contracts/external-id.ts';
import { idPattern } from '../../contracts/id.ts';
import {
  actOnDeliveriesSchema,
  operationSchema,
  statusesOf,
  type Operation,
} from '../../contracts/operation.ts';
import { pageOf, pageQuery } from '../../contracts/page.ts';
import {
  findOperation,
  insertOperation,
  listOperations,
  toShown,
  type OperationRow,
  type StartableOperation,
} from '../../db/operations-table.ts';
import { readClock } from '../../db/recoveries-table.ts';
import { countSelected } from '../../db/selected-deliveries.ts';
import type { Deps } from '../../deps.ts';
import { signalOperation, startOperation } from '../../dispatch/operation-workflow.ts';
import { ApiError, type FieldError } from '../../errors.ts';
import { isTemporalUnavailable } from '../../temporal/client.ts';
import type { OperationSignal } from '../../../workflows/contract.ts';
import { accountOf, audit } from '../auth.ts';
import { fromCursor, timePattern, toPage } from '../cursor.ts';
import { fault, requireFound, validationError } from '../problem-details.ts';
import { respondOnce } from '../respond-once.ts';
import { routesWithTag, type Context, type Reply } from '../route.ts';
import { webhookIdOf } from '../webhook-id.ts';
import { requireWebhook } from './webhook-view.ts';

const defineRoute = routesWithTag('Operations');
const maxAheadMs = 30 * 86_400_000;

type Requested = z.output<typeof actOnDeliveriesSchema>;

/** With the link to its workflow, which a portal session does not get. */
function toOperation(
  { deps, key }: Pick<Context<unknown, unknown>, 'deps' | 'key'>,
  row: OperationRow,
): Operation {
  const { temporalUiUrl, temporal } = deps;
  const url =
    temporalUiUrl === null || row.isDryRun || key.portal !== undefined
      ? null
      : `${temporalUiUrl}/namespaces/${encodeURIComponent(temporal.namespace)}/workflows/${row.id}`;
  return { ...toShown(row), workflow: { id: row.id, url } };
}

/** Starts the workflow of an operation that was written; while Temporal is away, the reconciler does. */
export async function startWritten(deps: Deps, operation: StartableOperation): Promise<void> {
  try {
    await startOperation(deps, operation);
  } catch (error) {
    if (!isTemporalUnavailable(error)) throw error;
    deps.log.warn(
      { operation: operation.id },
      'Temporal is unavailable: the reconciler starts the operation',
    );
  }
}

/** @throws ApiError validation_failed */
function requireSensible({ action, filter, next_attempt_at: time }: Requested, now: Date): void {
  const errors: FieldError[] = [];
  const since = filter.since === undefined ? null : new Date(filter.since);
  const isBounded = [filter.ids, filter.event_id, filter.operation_id].some((each) => each !== undefined);
  if (since === null && !isBounded) errors.push(fault('/filter/since', 'is missing'));
  if (since && since > now) errors.push(fault('/filter/since', 'must not be in the future'));
  if (filter.until !== undefined && since && new Date(filter.until) <= since)
    errors.push(fault('/filter/until', 'must be after since'));
  if (filter.status !== undefined && !statusesOf[action].includes(filter.status))
    errors.push(fault('/filter/status', `must be ${statusesOf[action].join(' or ')} for ${action}`));
  if (action === 'reschedule' && time === undefined) errors.push(fault('/next_attempt_at', 'is missing'));
  if (action !== 'reschedule' && time !== undefined)
    errors.push(fault('/next_attempt_at', 'is for reschedule only'));
  const aheadMs = time === undefined ? 0 : new Date(time).getTime() - Date.now();
  if (action === 'reschedule' && (aheadMs < 0 || aheadMs > maxAheadMs))
    errors.push(fault('/next_attempt_at', 'must be in the future, at most 30 days ahead'));
  if (errors.length > 0) throw validationError(errors);
}

/** The filter to store: the webhook by its id, times in UTC. @throws ApiError not_found */
async function toSelection(deps: Deps, key: Context<unknown, unknown>['key'], filter: Requested['filter']) {
  const { webhook_id: name, since, until, ...rest } = filter;
  const webhookId = name === undefined ? null : await webhookIdOf(deps, key, name);
  if (webhookId !== null) await requireWebhook(deps, key, webhookId);
  const toUtc = (time: string) => new Date(time).toISOString();
  return {
    webhookId,
    selection: {
      ...(webhookId === null ? {} : { webhook_id: webhookId }),
      ...rest,
      ...(since === undefined ? {} : { since: toUtc(since) }),
      ...(until === undefined ? {} : { until: toUtc(until) }),
    },
  };
}

async function create(context: Context<unknown, Requested>): Promise<Reply> {
  const { deps, key, body } = context;
  const { action, filter, per_second: perSecond, next_attempt_at: time, dry_run: isDryRun = false } = body;
  const createdAt = await readClock(deps.pool);
  requireSensible(body, createdAt);
  const { webhookId, selection } = await toSelection(deps, key, filter);
  // Events accepted until this millisecond. Ids name deliveries that exist.
  const now = filter.ids === undefined ? new Date(createdAt.getTime() + 1) : null;
  const until = filter.until === undefined ? null : new Date(filter.until);
  const selected = {
    accountId: accountOf(key),
    action,
    since: filter.since === undefined ? null : new Date(filter.since),
    until: until && now ? (until < now ? until : now) : (until ?? now),
    selection,
  };
  const reply = await respondOnce(context, { route: 'actOnDeliveries' }, async (client) => {
    const row = await insertOperation(client, {
      ...selected,
      webhookId,
      requestedBy: key.id,
      isDryRun,
      perSecond,
      nextAttemptAt: time === undefined ? null : new Date(time),
      total: await countSelected(client, selected),
      createdAt,
    });
    await audit(client, key, 'operation.created', row.id);
    return { status: isDryRun ? 200 : 202, body: toOperation(context, row) };
  });
  const { id, status } = reply.body;
  if (status !== 'completed')
    await startWritten(deps, { id, accountId: selected.accountId, action, webhookId, status });
  return reply;
}

const auditedActions = {
  pause: 'operation.paused',
  resume: 'operation.resumed',
  cancel: 'operation.canceled',
} as const;

async function signalOf(
  context: Pick<Context<unknown, unknown>, 'deps' | 'key' | 'id'>,
  signal: OperationSignal,
): Promise<Reply> {
  const { deps, key, id } = context;
  const read = async () => requireFound(await findOperation(deps.pool, accountOf(key), id), 'operation');
  const row = await read();
  const hasEnded = () =>
    new ApiError('operation_state_conflict', 'It has ended. Create another operation if you need one.');
  if (row.endedAt) throw hasEnded();
  if (signal === 'resume' && row.action === 'recover') {
    const webhook = await requireWebhook(deps, key, row.webhookId ?? '');
    if (!webhook.active)
      throw new ApiError('webhook_not_active', 'Activate the webhook first: nothing can be sent to it now.');
  }
  if (!(await signalOperation(deps.temporal, row, signal, key.id))) throw hasEnded();
  await audit(deps.pool, key, auditedActions[signal], id);
  return { status: 202, body: toOperation(context, await read()) };
}

export const operationRoutes = [
  defineRoute('post', '/v1/deliveries/actions', 'actOnDeliveries', {
    summary: 'Retry, cancel, reschedule or resend many deliveries',
    description:
      'A durable job over the deliveries that match the filter, oldest first, with the same effect on each as the call for one delivery, at most `per_second` in a second. A delivery that it cannot act on counts as failed, with the reason. Send an `Idempotency-Key` so that a repeated call does not make a second job. Audited.',
    scope: 'webhooks:write',
    body: actOnDeliveriesSchema,
    bodyExample: {
      action: 'retry',
      filter: { status: 'failed', since: '2024-01-10T12:00:00Z' },
      dry_run: true,
    },
    takesIdempotencyKey: true,
    replies: {
      200: { description: 'The count of a dry run', schema: operationSchema },
      202: { description: 'Running', schema: operationSchema },
    },
    handle: create,
  }),
  defineRoute('get', '/v1/operations', 'listOperations', {
    summary: 'List operations on many deliveries, newest first',
    description: 'Recoveries are among them; dry runs are not.',
    scope: 'webhooks:read',
    query: z.strictObject({
      ...pageQuery,
      webhook_id: webhookNameSchema.optional().meta({
        description: 'Only recoveries of this webhook, and actions whose filter names it.',
      }),
    }),
    replies: { 200: { description: 'A page', schema: pageOf(operationSchema, 'OperationPage') } },
    async handle(context) {
      const { deps, key, query } = context;
      const [createdAt, id] = fromCursor('operations', query.cursor, [timePattern, idPattern]) ?? [];
      const before = createdAt === undefined || id === undefined ? null : { createdAt, id };
      const { webhook_id: name, limit } = query;
      const webhookId = name === undefined ? undefined : await webhookIdOf(deps, key, name);
      const rows = await listOperations(deps.pool, accountOf(key), { webhookId, before, limit: limit + 1 });
      const operations = rows.map((row) => toOperation(context, row));
      return {
        status: 200,
        body: toPage('operations', operations, limit, (row) => [row.created_at, row.id]),
      };
    },
  }),
  defineRoute('get', '/v1/operations/{id}', 'getOperation', {
    summary: 'Get the progress of an operation',
    scope: 'webhooks:read',
    replies: { 200: { description: 'The operation', schema: operationSchema } },
    async handle(context) {
      const row = await findOperation(context.deps.pool, accountOf(context.key), context.id);
      return { status: 200, body: toOperation(context, requireFound(row, 'operation')) };
    },
  }),
  ...(
    [
      [
        'pause',
        'Pause an operation',
        'Deliveries that it has acted on keep their new state. A second call changes nothing.',
      ],
      ['resume', 'Resume a paused operation', 'The webhook of a recovery must be active.'],
      [
        'cancel',
        'Cancel an operation',
        'Deliveries that it has acted on keep their new state; the others stay as they are.',
      ],
    ] as const
  ).map(([signal, summary, description]) =>
    defineRoute('post', `/v1/operations/{id}/${signal}`, `${signal}Operation`, {
      summary,
      description,
      scope: 'webhooks:write',
      replies: { 202: { description: 'Requested', schema: operationSchema } },
      errors: ['operation_state_conflict', ...(signal === 'resume' ? (['webhook_not_active'] as const) : [])],
      handle: (context) => signalOf(context, signal),
    }),
  ),
];
