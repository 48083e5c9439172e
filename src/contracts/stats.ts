import { z } from 'zod';
import { statsRanges } from './stats-ranges.ts';
import { attemptCounts, failureRate, responseMs, webhookWaiting } from './webhook.ts';

export const statsSchema = z
  .object({
    since: z.iso.datetime(),
    until: z.iso.datetime(),
    data: z.array(
      z.object({
        webhook_id: z.string(),
        ...attemptCounts,
        failure_rate: failureRate,
        waiting: webhookWaiting,
        hourly: z.array(z.object({ hour: z.iso.datetime(), ...attemptCounts })),
      }),
    ),
  })
  .meta({ id: 'Stats' });
export type Stats = z.infer<typeof statsSchema>;

export const statsQuerySchema = z.strictObject({
  range: z.enum(statsRanges).optional().meta({
    description:
      'By the minute, the hour, 6 hours or the day, in `buckets` in place of `hourly`. Left out: the last 24 hours by the hour.',
  }),
});

const rangeHead = {
  range: z.enum(statsRanges),
  since: z.iso.datetime(),
  until: z.iso.datetime(),
  bucket_seconds: z.int(),
};
const bucket = {
  at: z.iso.datetime().meta({ description: 'Its beginning. The last one is not over yet.' }),
  ...attemptCounts,
};

export const webhookRangeStatsSchema = z
  .object({
    webhook_id: z.string(),
    ...rangeHead,
    ...attemptCounts,
    failure_rate: failureRate,
    waiting: webhookWaiting,
    response_ms: responseMs,
    buckets: z.array(z.object({ ...bucket, response_ms: responseMs })),
  })
  .meta({ id: 'WebhookRangeStats' });
export type WebhookRangeStats = z.infer<typeof webhookRangeStatsSchema>;

export const rangeStatsSchema = z
  .object({
    ...rangeHead,
    data: z.array(
      z.object({
        webhook_id: z.string(),
        ...attemptCounts,
        failure_rate: failureRate,
        waiting: webhookWaiting,
        buckets: z.array(z.object(bucket)),
      }),
    ),
  })
  .meta({ id: 'RangeStats' });
export type RangeStats = z.infer<typeof rangeStatsSchema>;

export const eventTypeStatsSchema = z
  .object({
    since: z.iso.datetime(),
    until: z.iso.datetime(),
    data: z.array(z.object({ event: z.string(), ...attemptCounts, failure_rate: failureRate })),
  })
  .meta({ id: 'EventTypeStats' });
export type EventTypeStats = z.infer<typeof eventTypeStatsSchema>;
