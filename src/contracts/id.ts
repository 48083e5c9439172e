import { z } from 'zod';

/** Any id: ours, or an event's as its producer chose it. No full stop: it delimits what is signed. */
export const idPattern = /^[A-Za-z0-9_-]{1,100}$/;
export const idSchema = z.string().regex(idPattern, 'must be 1 to 100 letters, digits, _ or -');

/** How ids begin that the service makes for its own events from what they are about, so that nobody else may send one. */
export const reservedEventIds = 'evt_failed_';
