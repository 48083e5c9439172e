import { z } from 'zod';
import type { AuditQuery } from '../client/pages.ts';
import { toTimeQuery } from './times.ts';

/** Invalid values in the URL are ignored. */
export const auditSearchSchema = z.object({
  action: z
    .string()
    .regex(/^[a-z_]{1,50}\.(\*|[a-z_]{1,50})$/)
    .optional()
    .catch(undefined),
  actor: z.coerce.string().min(1).max(200).optional().catch(undefined),
  target: z.coerce.string().min(1).max(200).optional().catch(undefined),
  /** A period that ends now. */
  last: z.enum(['1h', '24h', '7d']).optional().catch(undefined),
});
export type AuditSearch = z.output<typeof auditSearchSchema>;

/** The filters as query parameters of the API. */
export function toAuditQuery({ last, ...filters }: AuditSearch): AuditQuery {
  const query = { ...filters, ...toTimeQuery({ last }) };
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined));
}
