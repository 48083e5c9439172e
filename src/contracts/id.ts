import { z } from 'zod';

/** Any id: one of the service, or a producer's event id. No full stop: it separates the parts of the signed text. */
export const idPattern = /^[A-Za-z0-9_-]{1,100}$/;
export const idSchema = z.string().regex(idPattern, 'must be 1 to 100 letters, digits, _ or -');

/** An account's id: chosen by the caller, or one of the service. */
export const accountIdPattern = /^[A-Za-z0-9_-]{1,64}$/;
export const accountIdSchema = z.string().regex(accountIdPattern, 'must be 1 to 64 letters, digits, _ or -');
/** Names the account that a service key acts for. */
export const accountHeader = 'Fltr-Account';

/** The prefix of the ids of the service's own events that are made from the id of a delivery or webhook. */
export const reservedEventIds = 'evt_failed_';
