import { z } from 'zod';

/** The recorded actions. A family is all actions with the same part before the dot. */
export const auditActions = [
  'webhook.created',
  'webhook.updated',
  'webhook.deleted',
  'webhook.paused',
  'webhook.resumed',
  'webhook.disabled',
  'webhook.secret_read',
  'webhook.secret_rotated',
  'webhook.secret_overlap_ended',
  'recovery.created',
  'recovery.paused',
  'recovery.resumed',
  'recovery.canceled',
  'operation.created',
  'operation.paused',
  'operation.resumed',
  'operation.canceled',
  'key.created',
  'key.revoked',
  'event.expunged',
  'attempt.request_signed',
  'sign_in_link.created',
  'portal_link.created',
  'portal_link.opened',
  'portal_link.ended',
  'account.created',
  'account.updated',
  'account.deleted',
  'account.erased',
  'event_type.put',
  'event_type.deleted',
  'encryption_keys.reencrypted',
] as const;
export type AuditAction = (typeof auditActions)[number];

const actorTypes = ['key', 'service_key', 'portal_link', 'command_line', 'service'] as const;

export const auditRecordSchema = z
  .object({
    id: z.string().meta({ example: 'aud_01k' }),
    action: z.string().meta({ example: 'webhook.updated' }),
    actor: z
      .object({
        type: z.enum(actorTypes),
        id: z.string(),
        name: z.string().nullable().meta({
          description: "The key's name now. Only a service key sees the names of service keys.",
        }),
      })
      .meta({
        description:
          'Who did it. `service`: the service itself; its `id` says why: `auto-disable` (too many failures), `gone` (a 410 response), `pause` (the end of a pause).',
      }),
    target: z
      .object({
        id: z.string(),
        name: z
          .string()
          .nullable()
          .meta({ description: "A webhook's URL now, a key's name; null for anything else." }),
      })
      .meta({ description: 'The object that was changed or read.' }),
    fields: z
      .array(z.string())
      .meta({ description: 'The names of the changed fields, without their values.' }),
    created_at: z.iso.datetime(),
  })
  .meta({ id: 'AuditRecord' });
export type AuditRecord = z.infer<typeof auditRecordSchema>;
