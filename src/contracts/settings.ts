import { z } from 'zod';
import { signatureKinds } from './signature-kind.ts';

const count = z.int();

export const settingsSchema = z
  .object({
    environment: z.enum(['development', 'production']),
    version: z.string(),
    account_id: z
      .string()
      .meta({ description: "The key's account; CloudEvents have the source `/accounts/<id>`." }),
    header_prefix: z
      .string()
      .meta({ description: "The beginning of the names of the service's own request headers." }),
    user_agent: z.string(),
    signatures: z.array(z.enum(signatureKinds)).meta({
      description:
        'Which signatures requests have: `fltr` (`<prefix>Signature`), `standard` (`webhook-signature`).',
    }),
    retry_schedule_seconds: z.array(count).meta({ description: 'The wait before each retry.' }),
    attempt_timeout_ms: count,
    deliveries_per_hour: count
      .nullable()
      .meta({ description: 'Attempts of a webhook in any hour; null: no cap.' }),
    max_webhooks: count,
    hold_hours: count.meta({
      description: 'How long deliveries of a webhook that is not active are held.',
    }),
    auto_disable: z.object({ every_seconds: count, min_deliveries: count, failure_rate: z.number() }).meta({
      description:
        'A webhook is disabled when more than `failure_rate` of its deliveries in 24 hours failed, given at least `min_deliveries`.',
    }),
    payload_retention_days: count.meta({ description: '0: as long as their rows.' }),
    retention_days: count.meta({ description: '0: forever.' }),
    deliveries_per_workflow: count,
    api_requests_per_minute: count.meta({ description: 'Of each key; 0: no limit.' }),
    publish_requests_per_minute: count.meta({ description: 'Of each key; 0: no limit.' }),
    email_alerts: z
      .boolean()
      .meta({ description: 'The service has a mail server: `mailto:` URLs are allowed.' }),
    temporal_ui_url: z.string().nullable(),
  })
  .meta({ id: 'Settings' });
export type Settings = z.infer<typeof settingsSchema>;
