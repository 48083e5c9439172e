import { z } from 'zod';

/** Any id: one of the service, or a producer's event id. No full stop: it delimits what is signed. */
export const idPattern = /^[A-Za-z0-9_-]{1,100}$/;
export const idSchema = z.string().regex(idPattern, 'must be 1 to 100 letters, digits, _ or -');

/** How the ids of the service's own events begin, where they are made from what the event is about. */
export const reservedEventIds = 'evt_failed_';
