import type { Route } from '../route.ts';
import { deliveryRoutes } from './deliveries.ts';
import { eventTypeRoutes } from './event-types.ts';
import { eventRoutes } from './events.ts';
import { keyRoutes } from './keys.ts';
import { publishBatchRoutes } from './publish-batch.ts';
import { publishRoutes } from './publish.ts';
import { recoveryRoutes } from './recoveries.ts';
import { settingsRoutes } from './settings.ts';
import { statsRoutes } from './stats.ts';
import { webhookSecretRoutes } from './webhook-secrets.ts';
import { webhookStatsRoutes } from './webhook-stats.ts';
import { webhookRoutes } from './webhooks.ts';

/** Every call of the API that needs a key. A fixed path stands before one with a parameter. */
export const routes: Route[] = [
  ...webhookRoutes,
  ...webhookSecretRoutes,
  ...webhookStatsRoutes,
  ...publishRoutes,
  ...publishBatchRoutes,
  ...eventRoutes,
  ...deliveryRoutes,
  ...recoveryRoutes,
  ...eventTypeRoutes,
  ...statsRoutes,
  ...keyRoutes,
  ...settingsRoutes,
];
