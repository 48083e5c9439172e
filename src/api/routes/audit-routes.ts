import { z } from 'zod';
import { auditRecordSchema } from '../../contracts/audit.ts';
import { idPattern } from '../../contracts/id.ts';
import { pageOf, pageQuery } from '../../contracts/page.ts';
import { queryTime } from '../../contracts/time.ts';
import { listAuditRecords } from '../../db/audit-records.ts';
import { eachPage } from '../../db/each-page.ts';
import { fromCursor, pageUntil } from '../cursor.ts';
import { routesWithTag } from '../route.ts';

const defineRoute = routesWithTag('Audit log');
const maxLength = 200;

const query = z.strictObject({
  ...pageQuery,
  action: z
    .string()
    .regex(/^[a-z_]{1,50}\.(\*|[a-z_]{1,50})$/, 'must be an action such as webhook.deleted, or webhook.*')
    .optional()
    .meta({ description: 'An action, or a family of actions.', example: 'webhook.*' }),
  actor: z.string().min(1).max(maxLength).optional().meta({ description: 'The id of who did it.' }),
  target: z
    .string()
    .min(1)
    .max(maxLength)
    .optional()
    .meta({ description: 'The id of the webhook, key or other object that was changed.' }),
  since: queryTime('Recorded at or after this time.'),
  until: queryTime('Recorded before this time.'),
});

export const auditRoutes = [
  defineRoute('get', '/v1/audit-records', 'listAuditRecords', {
    summary: 'List audit records, newest first',
    description:
      'Who changed webhooks, keys, portal links or the account, read a secret, or acted on many deliveries. A service key that acts for no account reads the records of no account: service keys, event types, encryption keys. Not in a portal. Kept as long as ended deliveries. With `Accept: application/x-ndjson`, all records from there on are sent, one line of JSON each. `limit` does not apply.',
    scope: 'webhooks:read',
    mayLackAccount: true,
    query,
    line: auditRecordSchema,
    replies: {
      200: { description: 'A page of records', schema: pageOf(auditRecordSchema, 'AuditRecordPage') },
    },
    async handle({ deps, key, query: { cursor, limit, ...filter }, wantsLines }) {
      const [before = null] = fromCursor('audit records', cursor, [idPattern]) ?? [];
      const seesServiceKeys = key.accountId === null || key.isActing === true;
      const list = async (page: { before: string | null; limit: number }) => {
        const given = { ...filter, before: page.before, limit: page.limit + 1 };
        const rows = await listAuditRecords(deps.pool, key.accountId, given, seesServiceKeys);
        const last = rows.length > page.limit ? rows[page.limit - 1] : undefined;
        return { rows: rows.slice(0, page.limit), next: last?.id ?? null };
      };
      if (wantsLines) return { status: 200, pages: eachPage(before, list) };
      const { rows, next } = await list({ before, limit });
      return { status: 200, body: pageUntil('audit records', rows, next === null ? null : [next]) };
    },
  }),
];
