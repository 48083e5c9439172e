import { z } from 'zod';

/** Any id: ours, or an event's as its producer chose it. No full stop: it delimits what is signed. */
export const idPattern = /^[A-Za-z0-9_-]{1,100}$/;
export const idSchema = z.string().regex(idPattern, 'must be 1 to 100 letters, digits, _ or -');
