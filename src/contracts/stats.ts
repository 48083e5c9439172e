import { z } from 'zod';
import { attemptCounts, failureRate, webhookWaiting } from './webhook.ts';

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
