import { insertAuditRecord } from '../db/audit-records.ts';
import { withTransaction } from '../db/pool.ts';
import { redeemPortalLink } from '../db/portal-links-table.ts';
import type { Deps } from '../deps.ts';
import { ApiError } from '../errors.ts';
import { digestOfKey, newPortalToken } from '../security/api-keys.ts';
import { portalSession, type RequestSession } from './request-session.ts';

const goBack = 'Go back to where it came from, and open the page again: that makes a new link.';
const refusals = {
  used: `This link was used before. It works once. ${goBack}`,
  ended: `This link has expired or was ended. ${goBack}`,
  unknown: `This link is not valid. ${goBack}`,
};

/**
 * Opens the session of a portal link, once. Its token is returned here only; the database has its digest.
 *
 * @throws ApiError unauthorized
 */
export async function openPortal(
  deps: Deps,
  linkToken: string,
): Promise<{ token: string; session: RequestSession }> {
  const { pool, config } = deps;
  const token = newPortalToken();
  const digests = { tokenDigest: digestOfKey(linkToken), sessionDigest: digestOfKey(token) };
  await withTransaction(pool, async (client) => {
    const link = await redeemPortalLink(client, digests, config.FLTR_ENV);
    if (typeof link === 'string') throw new ApiError('unauthorized', refusals[link]);
    const { id, accountId } = link;
    await insertAuditRecord(client, { accountId, actor: id, action: 'portal_link.opened', target: id });
  });
  return { token, session: await portalSession(deps, digests.sessionDigest) };
}
