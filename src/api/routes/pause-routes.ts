import type { AuditAction } from '../../contracts/audit.ts';
import { maxPauseDays, pauseWebhookSchema, resumeWebhookSchema } from '../../contracts/pause.ts';
import { webhookSchema } from '../../contracts/webhook.ts';
import { pauseWebhook, resumeWebhook } from '../../db/pause-webhook.ts';
import type { Client } from '../../db/pool.ts';
import { accountOf, audit } from '../auth.ts';
import { fault, requireFound, validationError } from '../problem-details.ts';
import { routesWithTag, type Context } from '../route.ts';
import { toWebhook } from './webhook-view.ts';

const defineRoute = routesWithTag('Webhooks');
const dayMs = 86_400_000;

const targetOf = ({ key, id }: Pick<Context<unknown, unknown>, 'key' | 'id'>, action: AuditAction) => ({
  accountId: accountOf(key),
  id,
  record: (client: Client) => audit(client, key, action, id),
});

/** @throws ApiError validation_failed */
function requireTimeAhead(text: string): Date {
  const until = new Date(text);
  const aheadMs = until.getTime() - Date.now();
  if (aheadMs <= 0 || aheadMs > maxPauseDays * dayMs)
    throw validationError([fault('/until', `must be in the future, at most ${maxPauseDays} days ahead`)]);
  return until;
}

export const pauseRoutes = [
  defineRoute('post', '/v1/webhooks/{id}/pause', 'pauseWebhook', {
    summary: 'Pause a webhook',
    description:
      'It becomes inactive: its waiting and new deliveries are held, for as long as held ones are kept (72 hours, unless the setting says otherwise). With `until` it is activated at that time, also after a crash. A second call replaces `until` and `reason`. The body may be empty. Audited.',
    scope: 'webhooks:write',
    body: pauseWebhookSchema,
    bodyExample: { reason: 'Maintenance of the receiver' },
    bodyMayBeEmpty: true,
    replies: { 200: { description: 'The webhook as it is now', schema: webhookSchema } },
    async handle(context) {
      const { deps, body } = context;
      const until = body.until === undefined ? null : requireTimeAhead(body.until);
      const row = await pauseWebhook(deps.pool, targetOf(context, 'webhook.paused'), {
        until,
        reason: body.reason ?? null,
      });
      return { status: 200, body: toWebhook(requireFound(row, 'webhook')) };
    },
  }),
  defineRoute('post', '/v1/webhooks/{id}/resume', 'resumeWebhook', {
    summary: 'Resume a webhook',
    description:
      'Activates it, whether it was paused, inactive or disabled. Held deliveries are sent oldest first: with `per_second`, at most so many attempts a second until no delivery is waiting. The body may be empty. Audited.',
    scope: 'webhooks:write',
    body: resumeWebhookSchema,
    bodyExample: { per_second: 10 },
    bodyMayBeEmpty: true,
    replies: { 200: { description: 'The webhook as it is now', schema: webhookSchema } },
    async handle(context) {
      const { deps, body } = context;
      const target = targetOf(context, 'webhook.resumed');
      const row = requireFound(await resumeWebhook(deps.pool, target, body.per_second ?? null), 'webhook');
      deps.wakeDispatcher();
      return { status: 200, body: toWebhook(row) };
    },
  }),
];
