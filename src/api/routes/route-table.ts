import type { Route } from '../route.ts';
import { accountRoutes } from './account-routes.ts';
import { auditRoutes } from './audit-routes.ts';
import { deliveryRoutes } from './deliveries.ts';
import { deliveryLogRoutes } from './delivery-log-routes.ts';
import { eventTypeRoutes } from './event-type-routes.ts';
import { expungeRoutes } from './expunge-route.ts';
import { eventRoutes } from './event-routes.ts';
import { keyRoutes } from './key-routes.ts';
import { operationRoutes } from './operation-routes.ts';
import { ownAccountRoutes } from './own-account-routes.ts';
import { pauseRoutes } from './pause-routes.ts';
import { portalLinkRoutes } from './portal-link-routes.ts';
import { publishBatchRoutes } from './publish-batch.ts';
import { publishRoutes } from './publish.ts';
import { putWebhookRoutes } from './put-webhook-route.ts';
import { recoveryRoutes } from './recovery-routes.ts';
import { searchRoutes } from './search-routes.ts';
import { settingsRoutes } from './settings-routes.ts';
import { signedRequestRoutes } from './signed-request-route.ts';
import { streamRoutes } from './stream-routes.ts';
import { statsRoutes } from './stats-routes.ts';
import { webhookMatchRoutes } from './webhook-match-route.ts';
import { webhookSecretRoutes } from './webhook-secret-routes.ts';
import { webhookRoutes } from './webhook-routes.ts';

/** Every call of the API that needs a key. A fixed path comes before one with a parameter. */
export const routes: Route[] = [
  ...webhookRoutes,
  ...putWebhookRoutes,
  ...webhookSecretRoutes,
  ...webhookMatchRoutes,
  ...pauseRoutes,
  ...publishRoutes,
  ...publishBatchRoutes,
  ...eventRoutes,
  ...expungeRoutes,
  ...operationRoutes,
  ...deliveryLogRoutes,
  ...deliveryRoutes,
  ...signedRequestRoutes,
  ...recoveryRoutes,
  ...searchRoutes,
  ...eventTypeRoutes,
  ...statsRoutes,
  ...streamRoutes,
  ...keyRoutes,
  ...portalLinkRoutes,
  ...ownAccountRoutes,
  ...settingsRoutes,
  ...auditRoutes,
  ...accountRoutes,
];
