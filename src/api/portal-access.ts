import { isServiceScope } from '../contracts/key.ts';
import type { ApiKey } from '../db/api-keys-table.ts';
import { ApiError } from '../errors.ts';
import type { Route } from './route.ts';

/** The tags of the calls that the portal's pages make. Others are refused, so a new tag is closed until it is listed here. */
const portalTags = new Set([
  'Webhooks',
  'Events',
  'Deliveries',
  'Recoveries',
  'Operations',
  'Event types',
  'Search',
  'Stream',
]);

/** @throws ApiError not_in_portal */
export function requirePortalAccess(
  key: ApiKey,
  { tag, scope, isClosedToPortals = false }: Pick<Route, 'tag' | 'scope' | 'isClosedToPortals'>,
): void {
  if (key.portal === undefined) return;
  if (isClosedToPortals || !portalTags.has(tag) || (scope !== null && isServiceScope(scope)))
    throw new ApiError(
      'not_in_portal',
      'A portal session may read and change webhooks, events and deliveries only. Use a key for this call.',
    );
}
