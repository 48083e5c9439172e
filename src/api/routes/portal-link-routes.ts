import { createPortalLinkSchema, portalLinkSchema } from '../../contracts/portal-link.ts';
import { insertAuditRecord } from '../../db/audit-records.ts';
import { withTransaction } from '../../db/pool.ts';
import { endPortalLink, insertPortalLink, maxOpenLinks } from '../../db/portal-links-table.ts';
import type { ApiKey } from '../../db/api-keys-table.ts';
import type { Config } from '../../config.ts';
import { ApiError } from '../../errors.ts';
import { digestOfKey, newLinkToken } from '../../security/api-keys.ts';
import { fault, requireFound, validationError } from '../problem-details.ts';
import { publicOrigin } from '../public-origin.ts';
import { routesWithTag } from '../route.ts';
import { requireScopesOf } from './key-routes.ts';

const defineRoute = routesWithTag('Portal links');

/** @throws ApiError */
function accountOfLink(key: ApiKey, given: string | undefined): string {
  if (key.accountId === null) {
    if (given === undefined)
      throw validationError([fault('/account_id', 'is needed with a service key that acts for no account')]);
    return given;
  }
  if (given === undefined || given === key.accountId) return key.accountId;
  throw new ApiError(
    'service_key_required',
    'account_id may name another account with a service key only. Leave it out.',
    { errors: [fault('/account_id', 'needs a service key')] },
  );
}

/** The link "Back to …" leads there, so it is never a script. @throws ApiError validation_failed */
function requireReturnUrl(text: string, { FLTR_ENV }: Pick<Config, 'FLTR_ENV'>): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isLocal = url !== null && /^(localhost|127\.0\.0\.1|\[::1\]|.+\.localhost)$/.test(url.hostname);
  const isAllowed =
    url?.protocol === 'https:' || (url?.protocol === 'http:' && isLocal && FLTR_ENV === 'development');
  if (!url || !isAllowed)
    throw validationError([
      fault(
        '/return_url',
        FLTR_ENV === 'production' ? 'must be an https URL' : 'must be an https URL, or http to localhost',
      ),
    ]);
  if (url.username !== '' || url.password !== '')
    throw validationError([fault('/return_url', 'must not contain a user name or password')]);
  return url.href;
}

export const portalLinkRoutes = [
  defineRoute('post', '/v1/portal-links', 'createPortalLink', {
    summary: 'Make a one-time link to the portal of an account',
    description: `The portal has the dashboard's pages of one account: webhooks, delivery log, events; not its keys, and nothing of the operator's. Opened once, the link gives a session of 12 hours. It ends with \`DELETE /v1/portal-links/{id}\`, and when the key that made it is revoked. An account has at most ${maxOpenLinks} links that wait to be opened. Audited.`,
    scope: 'webhooks:write',
    body: createPortalLinkSchema,
    bodyExample: { expires_seconds: 900, theme: { accent: '#0a7cff', mode: 'auto' } },
    bodyMayBeEmpty: true,
    mayLackAccount: true,
    replies: { 201: { description: 'The link', schema: portalLinkSchema } },
    errors: ['portal_limit_reached', 'service_key_required'],
    async handle({ deps, key, body, host }) {
      const { config, pool } = deps;
      const accountId = accountOfLink(key, body.account_id);
      requireScopesOf(key, body.scopes, 'A key makes links only with scopes that it has itself');
      const returnUrl = body.return_url === undefined ? null : requireReturnUrl(body.return_url, config);
      const origin = publicOrigin(config, host);
      const token = newLinkToken();
      const link = await withTransaction(pool, async (client) => {
        const inserted = await insertPortalLink(client, {
          accountId,
          createdBy: key.id,
          tokenDigest: digestOfKey(token),
          scopes: body.scopes,
          accent: body.theme.accent ?? null,
          mode: body.theme.mode,
          returnUrl,
          expiresSeconds: body.expires_seconds,
        });
        if (inserted === 'no_account')
          throw validationError([fault('/account_id', 'is not a known account')]);
        if (inserted === 'too_many')
          throw new ApiError(
            'portal_limit_reached',
            `An account may have ${maxOpenLinks} links that wait to be opened. Delete some, or let them expire sooner (expires_seconds).`,
          );
        const record = {
          accountId,
          actor: key.id,
          action: 'portal_link.created' as const,
          target: inserted.id,
        };
        await insertAuditRecord(client, record);
        return inserted;
      });
      const url = `${origin}/portal#token=${token}`;
      return { status: 201, body: { id: link.id, url, expires_at: link.expiresAt.toISOString() } };
    },
  }),
  defineRoute('delete', '/v1/portal-links/{id}', 'deletePortalLink', {
    summary: 'End a portal link and its session',
    description:
      'Effective immediately. A link that has ended stays so. A service key ends the links that it made. Audited.',
    scope: 'webhooks:write',
    mayLackAccount: true,
    replies: { 204: { description: 'Ended' } },
    async handle({ deps, key, id }) {
      await withTransaction(deps.pool, async (client) => {
        const by = key.accountId === null ? { createdBy: key.id } : { accountId: key.accountId };
        const accountId = requireFound(await endPortalLink(client, id, by), 'portal link');
        const record = { accountId, actor: key.id, action: 'portal_link.ended' as const, target: id };
        await insertAuditRecord(client, record);
      });
      return { status: 204 };
    },
  }),
];
