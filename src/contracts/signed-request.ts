import { z } from 'zod';

export const signRequestSchema = z
  .strictObject({
    attempt: z
      .int()
      .min(1)
      .optional()
      .meta({ description: 'The number of the attempt; the latest one when left out.', example: 1 }),
  })
  .meta({ id: 'SignRequest' });

export const signedRequestSchema = z
  .object({
    delivery_id: z.string(),
    attempt: z.object({ id: z.string(), number: z.int() }),
    signed_at: z.iso
      .datetime()
      .meta({ description: 'Receivers that follow Standard Webhooks accept it for about five minutes.' }),
    method: z.literal('POST'),
    url: z.string().meta({ description: "The attempt's, also where the webhook has another one by now." }),
    headers: z
      .record(z.string(), z.string())
      .meta({ description: 'As in the attempt, with the time and the signatures of now.' }),
    placeholders: z.array(z.string()).meta({
      description:
        "The headers whose value is a placeholder, such as `<X-Api-Key>`: the webhook's own headers and its authentication are not shown.",
      example: ['Authorization'],
    }),
    body: z.string(),
    body_bytes: z.int(),
    curl: z.string().meta({ description: 'The request as a command line for a POSIX shell, such as sh.' }),
  })
  .meta({ id: 'SignedRequest' });
export type SignedRequest = z.infer<typeof signedRequestSchema>;
