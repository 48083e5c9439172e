import { z } from 'zod';

export const topics = ['events', 'deliveries', 'webhooks', 'operations'] as const;
export type Topic = (typeof topics)[number];

/** The most ids that one `changed` names. */
export const maxChangedIds = 50;

export const changeSchema = z
  .strictObject({
    topics: z.array(z.enum(topics)).meta({ description: 'The lists to read again.' }),
    ids: z
      .array(z.string())
      .nullable()
      .meta({
        description: `Ids of the objects that have changed; null: more than ${maxChangedIds}, or not known.`,
      }),
  })
  .meta({ id: 'Change' });

/** That something of an account has changed, but not how: it is to be read again. */
export type Change = z.output<typeof changeSchema>;

/** One event of the stream: `ready` when the stream has begun, `changed`, or `ping`. */
export type StreamEvent = { type: 'ready' } | { type: 'ping' } | ({ type: 'changed' } & Change);

export const everyChange: Change = { topics: [...topics], ids: null };

/**
 * Both changes as one. Of more ids than a change may name, none is left.
 *
 * @example mergeChanges({ topics: ['events'], ids: ['evt_1'] }, { topics: ['events'], ids: ['evt_2'] })
 */
export function mergeChanges(one: Change | null, other: Change): Change {
  if (!one) return other;
  const ids = one.ids && other.ids && [...new Set([...one.ids, ...other.ids])];
  return {
    topics: [...new Set([...one.topics, ...other.topics])],
    ids: ids && ids.length <= maxChangedIds ? ids : null,
  };
}
