import { z } from 'zod';

/** How an event is written for a webhook. */
const webhookFormats = ['fltr', 'slack'] as const;
export type WebhookFormat = (typeof webhookFormats)[number];

export const webhookFormatSchema = z
  .enum(webhookFormats)
  .meta({ description: '`slack`: each event as `{"text": …}`, for a Slack-compatible target.' });
