// The package's entry: a client for producers, and what receivers need. It uses fetch and node:crypto, and no dependency.
export {
  everyItem,
  FltrWebhooks,
  type DeliveryQuery,
  type EventToPublish,
  type Page,
  type PageQuery,
} from './fltr-webhooks.ts';
export { JsonText } from './raw-json.ts';
export { FltrWebhooksError, type ClientOptions } from './request.ts';
export {
  verify,
  verifyBody,
  WebhookVerificationError,
  type ReceivedWebhook,
  type VerificationFailure,
  type WebhookEvent,
} from './verify.ts';
