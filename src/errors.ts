/** Every error of the API: stable code → status, title. The comment says when it is thrown. */
export const errorCatalogue = {
  /** The body is not JSON, or not valid UTF-8. */
  malformed_json: { status: 400, title: 'The body is not valid JSON' },
  /** The request cannot be read: bad encoding, cut off, bad URL. */
  bad_request: { status: 400, title: 'The request cannot be read' },
  /** No key, an unknown one, or a revoked one. */
  unauthorized: { status: 401, title: 'A valid API key is required' },
  /** The key lacks the scope that the call needs. */
  missing_scope: { status: 403, title: 'The key lacks a scope' },
  /** With the key of an account: a call that concerns no single account, or one that names an account. */
  service_key_required: { status: 403, title: 'A service key is required' },
  /** A call for one account was made with a service key. */
  account_key_required: { status: 403, title: "An account's own key is required" },
  /** The session cookie was sent without the dashboard's header, or by a page of another origin. */
  cross_origin_refused: { status: 403, title: "The session is valid for the service's own pages only" },
  /** A portal session makes a call that is not for its pages: keys, settings, portal links, accounts. */
  not_in_portal: { status: 403, title: 'A portal session may not do this' },
  /** In development, the `Host` header names a host that is not the service's own. */
  host_refused: { status: 421, title: 'The Host header names another host' },
  /** `/metrics` in production, where no FLTR_METRICS_TOKEN is set. */
  metrics_closed: { status: 403, title: 'The metrics are closed' },
  /** It does not exist, or belongs to another account. */
  not_found: { status: 404, title: 'Not found' },
  /** The path exists, the method does not. */
  method_not_allowed: { status: 405, title: 'Method not allowed' },
  /** An event id was used again with another content. */
  event_id_conflict: { status: 409, title: 'Another event has this id' },
  /** Another webhook of the account has this external id. */
  external_id_taken: { status: 409, title: 'Another webhook has this external id' },
  /** The account has as many webhooks as it may. */
  webhook_limit_reached: { status: 409, title: 'The account has reached its limit of webhooks' },
  /** The event type belongs to the service itself, or to the file of types. */
  event_type_reserved: { status: 409, title: 'The event type cannot be changed through the API' },
  /** A webhook names the event type. */
  event_type_in_use: { status: 409, title: 'A webhook names the event type' },
  /** There are as many event types as there may be. */
  event_type_limit_reached: { status: 409, title: 'There are too many event types' },
  /** The account has as many valid keys as it may. */
  key_limit_reached: { status: 409, title: 'The account has reached its limit of keys' },
  /** The account of that id is being deleted: until then it can be neither changed nor created. */
  account_being_deleted: { status: 409, title: 'The account is being deleted' },
  /** The account has as many open portal links as it may. */
  portal_limit_reached: { status: 409, title: 'The account has reached its limit of open portal links' },
  /** The delivery's state does not allow the action. */
  delivery_state_conflict: { status: 409, title: "The delivery's state does not allow this" },
  /** The event was expunged, or its data is past its retention: it cannot be sent again. */
  payload_removed: { status: 409, title: "The event's data was removed" },
  /** The webhook's previous secret still signs: another rotation would end it early. */
  rotation_under_way: { status: 409, title: 'The overlap of an earlier rotation has not ended' },
  /** An Idempotency-Key was sent again after its webhook was deleted: the response held the secret and was wiped. */
  webhook_deleted: { status: 409, title: 'The webhook of this Idempotency-Key was deleted' },
  /** The action needs an active webhook. */
  webhook_not_active: { status: 409, title: 'The webhook is not active' },
  /** The recovery has ended. */
  recovery_state_conflict: { status: 409, title: "The recovery's state does not allow this" },
  /** The operation has ended. */
  operation_state_conflict: { status: 409, title: "The operation's state does not allow this" },
  /** The body is larger than the call allows. */
  body_too_large: { status: 413, title: 'The body is too large' },
  /** A field is wrong, missing or unknown. */
  validation_failed: { status: 422, title: 'The request is not valid' },
  /** An Idempotency-Key was used again with another body. */
  idempotency_key_reused: { status: 422, title: 'This Idempotency-Key belongs to another request' },
  /** The key or its account made too many calls, or the address too many without a valid key. */
  rate_limited: { status: 429, title: 'Too many requests' },
  /** An error of the service. */
  internal_error: { status: 500, title: 'Internal error' },
  /** PostgreSQL or Temporal cannot be reached right now, or there is no capacity. */
  unavailable: { status: 503, title: 'Not available right now' },
} as const;

export type ErrorCode = keyof typeof errorCatalogue;
export type FieldError = { pointer: string; message: string };

type ApiErrorOptions = {
  errors?: FieldError[];
  /** For the `Retry-After` header. */
  retryAfterSeconds?: number;
  /** Which limit was reached, for the metrics. */
  limit?: 'backlog' | 'memory' | 'bodies' | undefined;
};

/** An error meant for the caller of the API. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly code: ErrorCode;
  readonly errors: ApiErrorOptions['errors'];
  readonly retryAfterSeconds: ApiErrorOptions['retryAfterSeconds'];
  readonly limit: ApiErrorOptions['limit'];

  constructor(code: ErrorCode, detail: string, options: ApiErrorOptions = {}) {
    super(detail);
    this.code = code;
    this.errors = options.errors;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.limit = options.limit;
  }

  get status(): number {
    return errorCatalogue[this.code].status;
  }
}

/** For a request that did nothing, and that may succeed after so many seconds. `limit`: the one that was reached. */
export const unavailable = (detail: string, retryAfterSeconds: number, limit?: ApiError['limit']): ApiError =>
  new ApiError('unavailable', detail, { retryAfterSeconds, limit });

/** Stops a command with a message for its user, without a stack. */
export class StartError extends Error {
  override readonly name = 'StartError';
}
