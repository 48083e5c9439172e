import { recoverWebhookSchema, recoverySchema } from '../../contracts/recovery.ts';
import type { ApiKey } from '../../db/api-keys-table.ts';
import { withTransaction } from '../../db/pool.ts';
import { countRecoverable } from '../../db/recovery-pages.ts';
import {
  findRecovery,
  findUnderWay,
  insertRecovery,
  readClock,
  toRecovery,
  type NewRecovery,
  type RecoveryRow,
} from '../../db/recoveries-table.ts';
import type { Deps } from '../../deps.ts';
import { ApiError, unavailable } from '../../errors.ts';
import { signalOperation } from '../../dispatch/operation-workflow.ts';
import type { OperationSignal } from '../../../workflows/contract.ts';
import { accountOf, audit } from '../auth.ts';
import { fault, requireFound, validationError } from '../problem-details.ts';
import { routesWithTag, type Context, type Reply } from '../route.ts';
import { startWritten } from './operation-routes.ts';
import { requireWebhook } from './webhook-view.ts';

const defineRoute = routesWithTag('Recoveries');

async function requireRecovery({ pool }: Deps, key: ApiKey, id: string): Promise<RecoveryRow> {
  return requireFound(await findRecovery(pool, accountOf(key), id), 'recovery');
}

async function requireActiveWebhook(deps: Deps, key: ApiKey, id: string) {
  const webhook = await requireWebhook(deps, key, id);
  if (!webhook.active)
    throw new ApiError('webhook_not_active', 'Activate the webhook first: nothing can be sent to it now.');
  return webhook;
}

/** Writes the recovery and its audit record; its workflow is started afterwards. Null: the same call has begun one. */
function insert({ pool }: Deps, key: ApiKey, recovery: NewRecovery): Promise<RecoveryRow | null> {
  return withTransaction(pool, async (client) => {
    const row = await insertRecovery(client, recovery);
    if (row) await audit(client, key, 'recovery.created', row.id);
    return row;
  });
}

const auditedActions = {
  pause: 'recovery.paused',
  resume: 'recovery.resumed',
  cancel: 'recovery.canceled',
} as const;

async function signalOf(
  { deps, key, id }: Pick<Context<unknown, unknown>, 'deps' | 'key' | 'id'>,
  signal: OperationSignal,
): Promise<Reply> {
  const row = await requireRecovery(deps, key, id);
  const hasEnded = () =>
    new ApiError('recovery_state_conflict', 'It has ended. Create another recovery if you need one.');
  if (row.endedAt) throw hasEnded();
  if (signal === 'resume') await requireActiveWebhook(deps, key, row.webhookId);
  if (!(await signalOperation(deps.temporal, { ...row, action: 'recover' }, signal, key.id)))
    throw hasEnded();
  await audit(deps.pool, key, auditedActions[signal], id);
  return { status: 202, body: toRecovery(await requireRecovery(deps, key, id)) };
}

export const recoveryRoutes = [
  defineRoute('post', '/v1/webhooks/{id}/recover', 'recoverWebhook', {
    summary: 'Send failed and missed events again',
    description:
      'A durable job over the events accepted from `since` until `until`, oldest first: at most 50 a second, and within the hourly cap. The same call while its job is running returns that job. Deliveries that another call or a manual retry sends in the meantime are not sent twice.',
    scope: 'webhooks:write',
    body: recoverWebhookSchema,
    bodyExample: { since: '2024-01-10T12:00:00Z', dry_run: true },
    replies: {
      200: { description: 'The count of a dry run', schema: recoverySchema },
      202: { description: 'Running', schema: recoverySchema },
    },
    errors: ['webhook_not_active'],
    async handle({ deps, key, id, body }) {
      const accountId = accountOf(key);
      const webhook = await requireActiveWebhook(deps, key, id);
      const { pool, config } = deps;
      const createdAt = await readClock(pool);
      const since = new Date(body.since);
      const requestedUntil = body.until === undefined ? null : new Date(body.until);
      if (since > createdAt) throw validationError([fault('/since', 'must not be in the future')]);
      if (requestedUntil && requestedUntil <= since)
        throw validationError([fault('/until', 'must be after since')]);
      const isDryRun = body.dry_run ?? false;
      const kind = body.only ?? null;
      const call = { webhookId: id, since, requestedUntil, kind };
      const toReply = (row: RecoveryRow) => ({ status: isDryRun ? 200 : 202, body: toRecovery(row) });
      for (let round = 0; round < 3; round += 1) {
        const underWay = isDryRun ? null : await findUnderWay(pool, call);
        if (underWay) return toReply(underWay);
        const window = {
          ...call,
          accountId,
          until: requestedUntil && requestedUntil < createdAt ? requestedUntil : createdAt,
          filters: webhook.events,
          filter: webhook.filter,
        };
        const total = await countRecoverable(pool, {
          ...window,
          endedBefore: createdAt,
          retentionDays: config.FLTR_RETENTION_DAYS,
        });
        const row = await insert(deps, key, { ...window, requestedBy: key.id, isDryRun, total, createdAt });
        if (!row) continue;
        if (!isDryRun) await startWritten(deps, { ...row, action: 'recover' });
        return toReply(row);
      }
      throw unavailable('The recoveries of this webhook are being changed. Send the request again.', 1);
    },
  }),
  defineRoute('get', '/v1/recoveries/{id}', 'getRecovery', {
    summary: 'Get the progress of a recovery',
    scope: 'webhooks:read',
    replies: { 200: { description: 'The recovery', schema: recoverySchema } },
    async handle({ deps, key, id }) {
      return { status: 200, body: toRecovery(await requireRecovery(deps, key, id)) };
    },
  }),
  ...(
    [
      [
        'pause',
        'Pause a recovery',
        'Deliveries that it has already sent continue. A second call changes nothing.',
      ],
      ['resume', 'Resume a paused recovery', 'Its webhook must be active.'],
      [
        'cancel',
        'Cancel a recovery',
        'Deliveries that it has already sent continue; the others stay as they are.',
      ],
    ] as const
  ).map(([signal, summary, description]) =>
    defineRoute('post', `/v1/recoveries/{id}/${signal}`, `${signal}Recovery`, {
      summary,
      description,
      scope: 'webhooks:write',
      replies: { 202: { description: 'Requested', schema: recoverySchema } },
      errors: ['recovery_state_conflict', ...(signal === 'resume' ? (['webhook_not_active'] as const) : [])],
      handle: (context) => signalOf(context, signal),
    }),
  ),
];
