import { z } from 'zod';
import { nameSchema } from './visible-text.ts';

/** Scopes of the keys of an account. */
export const accountScopes = ['webhooks:read', 'webhooks:write', 'events:write'] as const;
/** Scopes of service keys only: they concern no single account. */
const serviceScopes = ['event-types:write', 'accounts:read', 'accounts:write'] as const;
export const scopes = [...accountScopes, ...serviceScopes] as const;
export type AccountScope = (typeof accountScopes)[number];
export type Scope = (typeof scopes)[number];

export const isServiceScope = (scope: Scope): boolean => serviceScopes.some((each) => each === scope);

const scopeList = z.array(z.enum(accountScopes)).min(1).max(accountScopes.length);

export const createKeySchema = z
  .strictObject({
    name: nameSchema.meta({ description: 'For example, the name of the system that uses it.' }),
    scopes: scopeList
      .refine((list) => new Set(list).size === list.length, 'must not name a scope twice')
      .meta({ uniqueItems: true, description: 'Only scopes that the calling key has.' }),
  })
  .meta({ id: 'CreateKey' });

export const keySchema = z
  .object({
    id: z.string().meta({ example: 'key_01k' }),
    name: z.string(),
    hint: z.string().meta({ description: 'How the key begins.', example: 'fltr_Zx8a…' }),
    scopes: z.array(z.enum(accountScopes)),
    created_at: z.iso.datetime(),
    revoked_at: z.iso.datetime().nullable(),
    last_used_at: z.iso.datetime().nullable().meta({
      description:
        'When it was last used, by a call or a session of the dashboard, to within two minutes. Null: never.',
    }),
    is_current: z.boolean().meta({ description: 'This call was made with it.' }),
  })
  .meta({ id: 'Key' });
export type Key = z.infer<typeof keySchema>;

export const createdKeySchema = keySchema
  .extend({ key: z.string().meta({ description: 'The key itself. Only this response has it.' }) })
  .meta({ id: 'CreatedKey' });
