import type { z } from 'zod';
import type { Account, OwnAccount, putAccountSchema, updateOwnAccountSchema } from '../contracts/account.ts';
import type { DeliveryCounts } from '../contracts/delivery-counts.ts';
import type { StreamEvent } from '../contracts/change.ts';
import type { Delivery, DeliverySummary, rescheduleSchema } from '../contracts/delivery.ts';
import type {
  AcceptedEvent,
  batchResultSchema,
  EventSummary,
  eventSchema,
  PublishEvent,
} from '../contracts/event.ts';
import type {
  BuiltInEventType,
  eventDataSchemas,
  eventTypeDefinitionSchema,
  EventTypeInfo,
} from '../contracts/event-types.ts';
import type { ExpungedEvents } from '../contracts/expunge.ts';
import type { createdKeySchema, createKeySchema, Key } from '../contracts/key.ts';
import type { AuditRecord } from '../contracts/audit.ts';
import type { actOnDeliveriesSchema, Operation } from '../contracts/operation.ts';
import type { pauseWebhookSchema, resumeWebhookSchema } from '../contracts/pause.ts';
import type { createPortalLinkSchema, PortalLink } from '../contracts/portal-link.ts';
import type { webhookPublicKeySchema } from '../contracts/public-key.ts';
import type { Recovery, recoverWebhookSchema } from '../contracts/recovery.ts';
import type { SearchResult } from '../contracts/search.ts';
import type { Settings } from '../contracts/settings.ts';
import type { SignedRequest, signRequestSchema } from '../contracts/signed-request.ts';
import type { EventTypeStats, RangeStats, Stats, WebhookRangeStats } from '../contracts/stats.ts';
import type { StatsRange } from '../contracts/stats-ranges.ts';
import type {
  createdWebhookSchema,
  createWebhookSchema,
  putWebhookSchema,
  rotatedWebhookSchema,
  rotateSecretSchema,
  testResultSchema,
  testWebhookSchema,
  updateWebhookSchema,
  Webhook,
  webhookSecretSchema,
  WebhookStats,
} from '../contracts/webhook.ts';
import type { MatchEvent, matchSchema } from '../contracts/webhook-match.ts';
import { newEventId } from './event-id.ts';
import type {
  AccountQuery,
  DeliveryCountQuery,
  DeliveryQuery,
  EventQuery,
  Page,
  AuditQuery,
  PageQuery,
  WebhookQuery,
} from './pages.ts';
import { JsonText, withMembers } from './raw-json.ts';
import { createSend, waiting, type Call, type ClientOptions, type Send } from './request.ts';
import { streamEvents, streamRows } from './stream.ts';

/** The data of each event type that is built in. */
export type BuiltInEvents = { [Type in BuiltInEventType]: z.input<(typeof eventDataSchemas)[Type]> };

/** An event of one of the types, with the data of its type. `JsonText` is sent verbatim. */
export type EventToPublish<Events extends object = BuiltInEvents> = {
  [Type in keyof Events & string]: Omit<PublishEvent, 'event' | 'data'> & {
    event: Type;
    data: Events[Type] | JsonText;
  };
}[keyof Events & string];

const testTimeoutMs = 75_000;
const part = encodeURIComponent;
const newKey = () => globalThis.crypto.randomUUID();

/**
 * A client of the API, with one method per operation of the OpenAPI document. Errors are thrown as `FltrWebhooksError`. A
 * request without a response is retried if that is safe. Publishing is, because each event has an id. For event types of
 * your own, give their data as a type parameter: `new FltrWebhooks<{ 'order.paid': { order_id: string } }>(…)`.
 *
 * It is one class in one file: each method is one line beside its types, and a reader finds all calls at one place.
 *
 * @example await new FltrWebhooks({ apiKey }).publishEvent({ event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } })
 */
export class FltrWebhooks<Events extends object = BuiltInEvents> {
  readonly #options: ClientOptions;
  readonly #send: Send;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#send = createSend(options);
  }

  #call<T>(
    method: Call['method'],
    path: string,
    more: Partial<Omit<Call, 'method' | 'path'>> = {},
  ): Promise<T> {
    const isRepeatable = method === 'GET' || more.idempotencyKey !== undefined;
    return this.#send({ isRepeatable, ...more, method, path }) as Promise<T>;
  }

  /**
   * Resolves when the event is committed. An event without an `id` gets one, so that a retry creates no duplicate. `wait`: when
   * its deliveries have ended, or after so many seconds, 60 at most.
   */
  publishEvent(event: EventToPublish<Events>, { wait }: { wait?: number } = {}): Promise<AcceptedEvent> {
    const body = { id: newEventId(), ...event };
    return this.#call('POST', '/v1/events', { body, isRepeatable: true, ...waiting(this.#options, wait) });
  }

  /** Up to 500 events, with a result for each, in order. */
  publishEvents(
    events: readonly (EventToPublish<Events> | JsonText)[],
  ): Promise<z.output<typeof batchResultSchema>> {
    const body = { events: events.map(withId) };
    return this.#call('POST', '/v1/events/batch', { body, isRepeatable: true });
  }

  listEvents(query?: EventQuery): Promise<Page<EventSummary>> {
    return this.#call('GET', '/v1/events', { query });
  }

  /** All of them, newest first, as one response. */
  exportEvents(query?: Omit<EventQuery, 'limit'>): AsyncGenerator<EventSummary, void, undefined> {
    return streamRows(this.#options, { path: '/v1/events', query });
  }

  /** `wait`: when its deliveries have ended, or after so many seconds, 60 at most. */
  getEvent(id: string, { wait }: { wait?: number } = {}): Promise<z.output<typeof eventSchema>> {
    return this.#call('GET', `/v1/events/${part(id)}`, waiting(this.#options, wait));
  }

  listEventTypes(): Promise<{ data: EventTypeInfo[] }> {
    return this.#call('GET', '/v1/event-types');
  }

  getEventType(name: string): Promise<EventTypeInfo> {
    return this.#call('GET', `/v1/event-types/${part(name)}`);
  }

  /** The last 24 hours of the account, by event type. */
  getEventTypeStats(): Promise<EventTypeStats> {
    return this.#call('GET', '/v1/event-types/stats');
  }

  /** Defines a type, or replaces its definition. */
  putEventType(name: string, definition: z.input<typeof eventTypeDefinitionSchema>): Promise<EventTypeInfo> {
    return this.#call('PUT', `/v1/event-types/${part(name)}`, { body: definition, isRepeatable: true });
  }

  deleteEventType(name: string): Promise<void> {
    return this.#call('DELETE', `/v1/event-types/${part(name)}`);
  }

  /** The response includes the secret. A second call with the same `idempotencyKey` returns the same response. */
  createWebhook(
    webhook: z.input<typeof createWebhookSchema>,
    { idempotencyKey = newKey() }: { idempotencyKey?: string } = {},
  ): Promise<z.output<typeof createdWebhookSchema>> {
    return this.#call('POST', '/v1/webhooks', { body: webhook, idempotencyKey });
  }

  /** Creates or replaces the webhook with this external id. The response includes the secret if it was created. */
  putWebhook(
    externalId: string,
    webhook: z.input<typeof putWebhookSchema>,
  ): Promise<Webhook & { secret?: string }> {
    const path = `/v1/webhooks/${part(externalId)}`;
    return this.#call('PUT', path, { body: webhook, isRepeatable: true });
  }

  listWebhooks(query?: WebhookQuery): Promise<Page<Webhook>> {
    return this.#call('GET', '/v1/webhooks', { query });
  }

  getWebhook(id: string): Promise<Webhook> {
    return this.#call('GET', `/v1/webhooks/${part(id)}`);
  }

  updateWebhook(id: string, change: z.input<typeof updateWebhookSchema>): Promise<Webhook> {
    return this.#call('PATCH', `/v1/webhooks/${part(id)}`, { body: change });
  }

  deleteWebhook(id: string): Promise<void> {
    return this.#call('DELETE', `/v1/webhooks/${part(id)}`);
  }

  /** Its deliveries are held until `until`, or until it is resumed. */
  pauseWebhook(id: string, pause: z.input<typeof pauseWebhookSchema> = {}): Promise<Webhook> {
    return this.#call('POST', `/v1/webhooks/${part(id)}/pause`, { body: pause, isRepeatable: true });
  }

  /** Activates it; `per_second` bounds the attempts until no delivery is waiting. */
  resumeWebhook(id: string, options: z.input<typeof resumeWebhookSchema> = {}): Promise<Webhook> {
    return this.#call('POST', `/v1/webhooks/${part(id)}/resume`, { body: options, isRepeatable: true });
  }

  getWebhookSecret(id: string): Promise<z.output<typeof webhookSecretSchema>> {
    return this.#call('GET', `/v1/webhooks/${part(id)}/secret`);
  }

  /** For webhooks with `v1a` in their `signatures`; others have none. */
  getWebhookPublicKey(id: string): Promise<z.output<typeof webhookPublicKeySchema>> {
    return this.#call('GET', `/v1/webhooks/${part(id)}/public-key`);
  }

  /** The previous secret stays valid for `overlap_seconds`, by default a day. */
  rotateWebhookSecret(
    id: string,
    options: z.input<typeof rotateSecretSchema> = {},
  ): Promise<z.output<typeof rotatedWebhookSchema>> {
    const path = `/v1/webhooks/${part(id)}/rotate-secret`;
    return this.#call('POST', path, { body: options, idempotencyKey: newKey() });
  }

  finishSecretRotation(id: string): Promise<Webhook> {
    return this.#call('POST', `/v1/webhooks/${part(id)}/rotate-secret/finish`);
  }

  /** The last 24 hours, or a range. */
  getWebhookStats(id: string): Promise<WebhookStats>;
  getWebhookStats(id: string, query: { range: StatsRange }): Promise<WebhookRangeStats>;
  getWebhookStats(id: string, query?: { range: StatsRange }): Promise<WebhookStats | WebhookRangeStats> {
    return this.#call('GET', `/v1/webhooks/${part(id)}/stats`, { query });
  }

  /** Makes one signed attempt and returns its outcome. */
  testWebhook(test: z.input<typeof testWebhookSchema>): Promise<z.output<typeof testResultSchema>> {
    return this.#call('POST', '/v1/webhooks/test', { body: test, timeoutMs: testTimeoutMs });
  }

  /** Whether the webhook gets such an event, and if not, why. Nothing is sent. */
  matchWebhook(
    id: string,
    event: Omit<MatchEvent, 'data'> & { data: object },
  ): Promise<z.output<typeof matchSchema>> {
    return this.#call('POST', `/v1/webhooks/${part(id)}/match`, { body: event, isRepeatable: true });
  }

  /** Wipes their data and the stored responses for good; waiting deliveries are canceled. At most 500 ids. */
  expungeEvents(ids: readonly string[]): Promise<ExpungedEvents> {
    return this.#call('POST', '/v1/events/expunge', { body: { ids }, isRepeatable: true });
  }

  /** The delivery log, newest first. */
  listDeliveries(query?: DeliveryQuery): Promise<Page<DeliverySummary>> {
    return this.#call('GET', '/v1/deliveries', { query });
  }

  /** The whole log, newest first, as one response. */
  exportDeliveries(query?: Omit<DeliveryQuery, 'limit'>): AsyncGenerator<DeliverySummary, void, undefined> {
    return streamRows(this.#options, { path: '/v1/deliveries', query });
  }

  /** Deliveries by status, each counted up to `limit`. */
  countDeliveries(query?: DeliveryCountQuery): Promise<DeliveryCounts> {
    return this.#call('GET', '/v1/deliveries/counts', { query });
  }

  getDelivery(id: string): Promise<Delivery> {
    return this.#call('GET', `/v1/deliveries/${part(id)}`);
  }

  /** `force`: even if it was delivered. */
  retryDelivery(id: string, { force = false }: { force?: boolean } = {}): Promise<DeliverySummary> {
    const query = force ? { force: 'true' } : {};
    return this.#call('POST', `/v1/deliveries/${part(id)}/retry`, { query });
  }

  cancelDelivery(id: string): Promise<DeliverySummary> {
    return this.#call('POST', `/v1/deliveries/${part(id)}/cancel`);
  }

  rescheduleDelivery(id: string, change: z.input<typeof rescheduleSchema>): Promise<DeliverySummary> {
    return this.#call('PATCH', `/v1/deliveries/${part(id)}`, { body: change });
  }

  /** The request of an attempt, by default the latest one, signed again. Nothing is sent. */
  signRequest(id: string, request: z.input<typeof signRequestSchema> = {}): Promise<SignedRequest> {
    return this.#call('POST', `/v1/deliveries/${part(id)}/signed-request`, {
      body: request,
      isRepeatable: true,
    });
  }

  /** The objects with this id, of any kind; webhooks also by the beginning of their URL. */
  search(text: string): Promise<SearchResult> {
    return this.#call('GET', '/v1/search', { query: { q: text } });
  }

  /** Retries, cancels, reschedules or resends many deliveries, as an operation. */
  actOnDeliveries(action: z.input<typeof actOnDeliveriesSchema>): Promise<Operation> {
    return this.#call('POST', '/v1/deliveries/actions', { body: action, idempotencyKey: newKey() });
  }

  /** Newest first; recoveries are among them. */
  listOperations(query?: PageQuery & { webhook_id?: string }): Promise<Page<Operation>> {
    return this.#call('GET', '/v1/operations', { query });
  }

  getOperation(id: string): Promise<Operation> {
    return this.#call('GET', `/v1/operations/${part(id)}`);
  }

  pauseOperation(id: string): Promise<Operation> {
    return this.#call('POST', `/v1/operations/${part(id)}/pause`);
  }

  resumeOperation(id: string): Promise<Operation> {
    return this.#call('POST', `/v1/operations/${part(id)}/resume`);
  }

  cancelOperation(id: string): Promise<Operation> {
    return this.#call('POST', `/v1/operations/${part(id)}/cancel`);
  }

  /** Resends the failed deliveries of a webhook, and the events that it missed. */
  recoverWebhook(id: string, options: z.input<typeof recoverWebhookSchema>): Promise<Recovery> {
    return this.#call('POST', `/v1/webhooks/${part(id)}/recover`, { body: options });
  }

  getRecovery(id: string): Promise<Recovery> {
    return this.#call('GET', `/v1/recoveries/${part(id)}`);
  }

  pauseRecovery(id: string): Promise<Recovery> {
    return this.#call('POST', `/v1/recoveries/${part(id)}/pause`);
  }

  resumeRecovery(id: string): Promise<Recovery> {
    return this.#call('POST', `/v1/recoveries/${part(id)}/resume`);
  }

  cancelRecovery(id: string): Promise<Recovery> {
    return this.#call('POST', `/v1/recoveries/${part(id)}/cancel`);
  }

  /** Of all webhooks: the last 24 hours, or a range. */
  getStats(): Promise<Stats>;
  getStats(query: { range: StatsRange }): Promise<RangeStats>;
  getStats(query?: { range: StatsRange }): Promise<Stats | RangeStats> {
    return this.#call('GET', '/v1/stats', { query });
  }

  /**
   * Reports changes of the account until the service ends the stream. `watchChanges` opens another one then.
   */
  streamChanges(signal?: AbortSignal): AsyncGenerator<StreamEvent, void, undefined> {
    return streamEvents(this.#options, signal);
  }

  /** Newest first. */
  listAuditRecords(query?: AuditQuery): Promise<Page<AuditRecord>> {
    return this.#call('GET', '/v1/audit-records', { query });
  }

  /** All of them, newest first, as one response. */
  exportAuditRecords(query?: Omit<AuditQuery, 'limit'>): AsyncGenerator<AuditRecord, void, undefined> {
    return streamRows(this.#options, { path: '/v1/audit-records', query });
  }

  listKeys(query?: PageQuery): Promise<Page<Key>> {
    return this.#call('GET', '/v1/keys', { query });
  }

  /** The response includes the key. */
  createKey(key: z.input<typeof createKeySchema>): Promise<z.output<typeof createdKeySchema>> {
    return this.#call('POST', '/v1/keys', { body: key });
  }

  revokeKey(id: string): Promise<void> {
    return this.#call('DELETE', `/v1/keys/${part(id)}`);
  }

  /** The response includes the link, which opens once. Without an account: that of the key. */
  createPortalLink(link: z.input<typeof createPortalLinkSchema> = {}): Promise<PortalLink> {
    return this.#call('POST', '/v1/portal-links', { body: link });
  }

  /** Ends the link, and its session. */
  deletePortalLink(id: string): Promise<void> {
    return this.#call('DELETE', `/v1/portal-links/${part(id)}`);
  }

  getSettings(): Promise<Settings> {
    return this.#call('GET', '/v1/settings');
  }

  /** The account of the key. */
  getOwnAccount(): Promise<OwnAccount> {
    return this.#call('GET', '/v1/account');
  }

  updateOwnAccount(change: z.input<typeof updateOwnAccountSchema>): Promise<OwnAccount> {
    return this.#call('PATCH', '/v1/account', { body: change });
  }

  /** Creates the account of that id, or changes it: fields that are left out stay as they are. With a service key. */
  putAccount(id: string, account: z.input<typeof putAccountSchema> = {}): Promise<Account> {
    return this.#call('PUT', `/v1/accounts/${part(id)}`, { body: account, isRepeatable: true });
  }

  /** Newest first; with `q`, those whose id or name begins so, on one page. */
  listAccounts(query?: AccountQuery): Promise<Page<Account>> {
    return this.#call('GET', '/v1/accounts', { query });
  }

  getAccount(id: string): Promise<Account> {
    return this.#call('GET', `/v1/accounts/${part(id)}`);
  }

  /** Begins the deletion of everything that belongs to it; `deletion` of the account shows how far it is. */
  deleteAccount(id: string): Promise<Account> {
    return this.#call('DELETE', `/v1/accounts/${part(id)}`, { isRepeatable: true });
  }
}

const withId = (event: object): object =>
  event instanceof JsonText ? withMembers(event.text, { id: newEventId() }) : { id: newEventId(), ...event };
