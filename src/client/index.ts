// The package's entry: a client for producers, and verification for receivers. It needs fetch and node:crypto only.
export { FltrWebhooks, type EventToPublish } from './fltr-webhooks.ts';
export { everyItem, type DeliveryQuery, type EventQuery, type Page, type PageQuery } from './pages.ts';
export { JsonText } from './raw-json.ts';
export { FltrWebhooksError, type ClientOptions } from './request.ts';
export { watchChanges } from './watch-changes.ts';
export {
  verify,
  WebhookVerificationError,
  type ReceivedWebhook,
  type VerificationFailure,
  type WebhookEvent,
} from './verify.ts';
