import type { ErrorRequestHandler } from 'express';
import type { Logger } from 'pino';
import type { z } from 'zod';
import { subjectOf, type Problem } from '../contracts/problem.ts';
import type { WhyRemoved } from '../db/event-log.ts';
import { isDatabaseUnavailable } from '../db/pool.ts';
import { ApiError, errorCatalogue, unavailable, type FieldError } from '../errors.ts';
import type { PublishMetrics } from '../observability/publish-metrics.ts';
import { SenderBusy } from '../outbound/sender-busy.ts';
import { isTemporalUnavailable } from '../temporal/client.ts';
import { sendResponse } from './send-response.ts';

/** An error as RFC 9457 has it, without the request's id. */
export function toProblem(error: ApiError): Omit<Problem, 'request_id'> {
  return {
    type: `urn:fltr-webhooks:problem:${error.code}`,
    title: errorCatalogue[error.code].title,
    status: error.status,
    code: error.code,
    detail: error.message,
    ...(error.errors ? { errors: error.errors } : {}),
  };
}

/** Most faults that a response lists. */
export const maxListedFaults = 100;

/** Longer ones are cut: the names in a request must not make its response large. */
const maxPointerLength = 200;

/** @example toPointer(['data', 'a/b', 0]) // '/data/a~1b/0' */
export function toPointer(path: readonly PropertyKey[]): string {
  let pointer = '';
  for (const part of path) {
    if (pointer.length > maxPointerLength) break;
    const name = String(part).slice(0, maxPointerLength);
    pointer += `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
  }
  return pointer.length > maxPointerLength ? `${pointer.slice(0, maxPointerLength)}…` : pointer;
}

/** @example fault('/url', 'must not be empty') // { pointer: '/url', message: 'url must not be empty' } */
export const fault = (pointer: string, words: string): FieldError => ({
  pointer,
  message: `${subjectOf(pointer)} ${words}`,
});

/** Of an event that cannot be sent again. */
export const payloadRemoved = (why: WhyRemoved): ApiError =>
  new ApiError(
    'payload_removed',
    why === 'expunged'
      ? 'Its event was expunged, so it cannot be sent again. Publish the data as a new event.'
      : "Its event's data is past its retention, so it cannot be sent again. Publish it as a new event.",
  );

/** The first faults that zod found, each with a JSON pointer below `base`. */
export function toFieldErrors(error: z.ZodError, base = ''): FieldError[] {
  const faults: FieldError[] = [];
  for (const issue of error.issues) {
    const names = issue.code === 'unrecognized_keys' ? issue.keys : [null];
    for (const name of names) {
      if (faults.length === maxListedFaults) return faults;
      const path = name === null ? issue.path : [...issue.path, name];
      faults.push(fault(base + toPointer(path), name === null ? issue.message : 'is not a known field'));
    }
  }
  return faults;
}

/** Faults that the detail names; `errors` lists them all. */
const maxFaultsInDetail = 3;

export function validationError(errors: FieldError[]): ApiError {
  const named = errors.slice(0, maxFaultsInDetail).map(({ message }) => message.replace(/\.$/, ''));
  const rest = errors.length - named.length;
  const count = errors.length >= maxListedFaults ? 'many' : String(rest);
  const more = rest > 0 ? `; and ${count} more` : '';
  return new ApiError('validation_failed', `${named.join('; ')}${more}.`, {
    errors: errors.slice(0, maxListedFaults),
  });
}

export function bodyTooLarge(maxBytes: number): ApiError {
  return new ApiError('body_too_large', `The body may have at most ${maxBytes} bytes.`);
}

/** @throws ApiError not_found where there is no such thing */
export function requireFound<Found>(found: Found | null | false, noun: string): Found {
  if (!found) throw new ApiError('not_found', `There is no such ${noun}.`);
  return found;
}

/** Any error as one for the caller: never a stack, never a statement. */
function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (isDatabaseUnavailable(error))
    return unavailable('The database is not available right now. Send the request again.', 2);
  if (isTemporalUnavailable(error))
    return unavailable('Temporal cannot be reached right now. Send the request again.', 2);
  if (error instanceof SenderBusy)
    return unavailable(
      'Too many requests to this receiver are running. Send the request again.',
      error.seconds,
    );
  // Express and its parsers describe a client's mistake with these.
  const { type, status, limit = 0 } = (error ?? {}) as { type?: unknown; status?: unknown; limit?: number };
  if (type === 'entity.too.large') return bodyTooLarge(limit);
  if (typeof status === 'number' && status >= 400 && status <= 499) {
    return new ApiError('bad_request', 'The request could not be read. Check its encoding and its length.');
  }
  return new ApiError(
    'internal_error',
    'This is an error of the service. Its log has the details under the request id.',
  );
}

/** The last middleware, for every error of every route. `publish` counts requests that published nothing. */
export function problemHandler(log: Logger, publish?: Pick<PublishMetrics, 'refused'>): ErrorRequestHandler {
  return (error: unknown, request, response, next) => {
    if (response.headersSent) return next(error);
    const problem = toApiError(error);
    const requestId = String(response.locals['requestId'] ?? '');
    if (response.locals['isPublishing'] === true) publish?.refused(problem.limit ?? problem.code);
    if (problem.status >= 500)
      log.error({ err: error, request_id: requestId, path: request.path }, problem.code);
    sendResponse(response, {
      status: problem.status,
      contentType: 'application/problem+json',
      body: JSON.stringify({ ...toProblem(problem), request_id: requestId }),
      headers: {
        ...(problem.retryAfterSeconds === undefined
          ? {}
          : { 'Retry-After': String(problem.retryAfterSeconds) }),
        ...(problem.status === 401 ? { 'WWW-Authenticate': 'Bearer' } : {}),
      },
    });
  };
}
