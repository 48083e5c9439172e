import { z } from 'zod';
import { timeSchema } from './time.ts';
import { visibleText } from './visible-text.ts';

/** The end of a pause, from now. */
export const maxPauseDays = 366;

export const pauseWebhookSchema = z
  .strictObject({
    until: timeSchema.optional().meta({
      description: `When it is activated again, at most ${maxPauseDays} days ahead. Absent: when it is resumed.`,
    }),
    reason: visibleText.max(200, 'must have at most 200 characters').optional().meta({
      description: 'Shown with the webhook.',
      example: 'Maintenance of the receiver',
    }),
  })
  .meta({ id: 'PauseWebhook' });

export const resumeWebhookSchema = z
  .strictObject({
    per_second: z.int().min(1).max(1000).optional().meta({
      description: 'At most so many attempts a second, until all that waits has been attempted.',
    }),
  })
  .meta({ id: 'ResumeWebhook' });
