import { z } from 'zod';
import { webhookFormatSchema } from './webhook-format.ts';

/** Why an attempt did not deliver. Stable: stored, shown in the log and kept in workflow histories. */
export const attemptErrorCodes = [
  'client_error',
  'client_error_retried',
  'server_error',
  'redirect',
  'unexpected_status',
  'dns_not_found',
  'dns_failure',
  'connection_refused',
  'connection_reset',
  'connection_closed',
  'host_unreachable',
  'tls_certificate',
  'tls_failure',
  'timeout_dns',
  'timeout_connect',
  'timeout_tls',
  'timeout_response',
  'malformed_response',
  'network_failure',
  'blocked_address',
  'auth_failed',
  'email_failed',
  'email_rejected',
] as const;
export type AttemptErrorCode = (typeof attemptErrorCodes)[number];

/** Those with a response, be it one that is not valid HTTP. */
const withResponse: readonly AttemptErrorCode[] = [
  'client_error',
  'client_error_retried',
  'server_error',
  'redirect',
  'unexpected_status',
  'malformed_response',
];
export const errorsWithoutResponse = attemptErrorCodes.filter((code) => !withResponse.includes(code));

/** After an attempt: the delivery is delivered, another attempt follows, or the delivery has failed. */
export const attemptOutcomes = ['delivered', 'retry', 'failed'] as const;
export type AttemptOutcome = (typeof attemptOutcomes)[number];

export const attemptSchema = z
  .object({
    id: z.string().meta({
      description:
        'New in each attempt; the receiver sees it as `X-FLTR-Delivery`, or with the header prefix of the settings.',
      example: 'att_01k',
    }),
    number: z.int().meta({ description: 'Counts from 1.' }),
    started_at: z.iso.datetime(),
    duration_ms: z.int(),
    status_code: z.int().nullable().meta({
      description:
        'Of a response that is not valid HTTP, the status that could be read; `error` is set then.',
    }),
    outcome: z.enum(attemptOutcomes),
    error: z.object({ code: z.enum(attemptErrorCodes), message: z.string() }).nullable(),
    request: z
      .object({
        method: z
          .enum(['POST', 'EMAIL'])
          .meta({ description: '`EMAIL`: an e-mail to the addresses of the URL.' }),
        url: z.string().meta({ description: "The webhook's URL at that time." }),
        headers: z.record(z.string(), z.string()),
        signature_headers: z.array(z.string()).meta({
          description: 'The names of the headers that held its signatures, which are not stored.',
          example: ['X-FLTR-Signature', 'webhook-signature'],
        }),
        body_bytes: z.int(),
        format: webhookFormatSchema,
      })
      .meta({
        description:
          "The request without its signatures. Its body is the event's `body`, written in the `format`.",
      }),
    response: z
      .object({ headers: z.record(z.string(), z.string()), body: z.string(), truncated: z.boolean() })
      .nullable(),
  })
  .meta({ id: 'Attempt' });
export type Attempt = z.infer<typeof attemptSchema>;
