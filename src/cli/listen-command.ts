import type { Command } from 'commander';
import type { FltrWebhooks } from '../client/fltr-webhooks.ts';
import { newId } from '../domain/ids.ts';
import type { Settings } from '../contracts/settings.ts';
import { requestFormats, type RequestFormat } from '../contracts/webhook-format.ts';
import { attemptHeaders, toHeaderStyle, type HeaderStyle } from '../domain/request-headers.ts';
import { newSecret } from '../domain/signature.ts';
import { filtersThatMatch } from '../domain/subscription.ts';
import { bodyFor } from '../domain/wire-body.ts';
import { apiCommand, connect, readValue, type ApiOptions } from './api-command.ts';
import { wrongUse } from './exit-codes.ts';
import { follow, whenAvailable } from './follow.ts';
import { printable, printableJson } from './printable.ts';
import { listOf } from './text-output.ts';

type Options = ApiOptions & { forwardTo: string; events: string; format: string; secret?: string };

/** The default timeout of an attempt. */
const attemptTimeoutMs = 5000;

/** `listen`: forwards the account's events to a receiver on this machine, as the service would send them, without a tunnel. */
export function addListenCommand(program: Command): void {
  apiCommand(
    program,
    'listen',
    "forward the account's events, signed, to a receiver on this machine until Ctrl-C",
  )
    .requiredOption('--forward-to <url>', 'URL of the receiver, such as http://localhost:5000/webhooks/fltr')
    .option('--events <list>', 'comma-separated event types, document.*, dataset.* or *', '*')
    .option('--format <format>', requestFormats.join(', '), 'fltr')
    .option(
      '--secret <secret>',
      'signing secret, whsec_…; @file reads a file (default: a new one, which is printed)',
    )
    .action(async (options: Options) => {
      if (!URL.canParse(options.forwardTo))
        throw wrongUse(`--forward-to must be a URL such as http://localhost:5000/webhooks/fltr.`);
      const filters = new Set(listOf(options.events));
      const format = formatOf(options.format);
      const secret = await secretOf(options);
      const { client, url } = await connect(options);
      const as = sentAs(await client.getSettings(), format);
      console.error(`Forwarding events of ${url} to ${options.forwardTo}, once each, without retries.`);
      if (options.secret === undefined) console.error(`Signed with WEBHOOK_SECRET=${secret}`);
      const events = follow({
        client,
        topic: 'events',
        list: (page) => client.listEvents(page),
        idOf: ({ id }) => id,
        stateOf: () => 'accepted',
        last: 0,
      });
      for await (const { id, event } of events) {
        if (!filtersThatMatch(event).some((filter) => filters.has(filter))) continue;
        const result = await forward(client, id, { ...as, to: options.forwardTo, secret });
        console.log(options.json ? printableJson({ id, event, ...result }) : line(id, event, result));
      }
    });
}

function formatOf(text: string): RequestFormat {
  const format = requestFormats.find((each) => each === text);
  if (format === undefined) throw wrongUse(`--format must be one of ${requestFormats.join(', ')}.`);
  return format;
}

type SentAs = { style: HeaderStyle; format: RequestFormat; accountId: string };

/** As the service itself sends: its header prefix, user agent and signatures. */
const sentAs = (settings: Settings, format: RequestFormat): SentAs => {
  const { header_prefix: prefix, user_agent: userAgent, signatures, account_id: accountId } = settings;
  return { style: toHeaderStyle({ prefix, userAgent, signatures }), format, accountId };
};

async function secretOf({ secret }: Options): Promise<string> {
  if (secret === undefined) return newSecret();
  const text = await readValue(secret);
  if (!text.startsWith('whsec_'))
    throw wrongUse('--secret must be a complete secret: whsec_ followed by base64.');
  return text;
}

type Result = { status_code: number | null; duration_ms: number; error: string | null };

/** Body and headers are made by the same code as those of an attempt. */
async function forward(
  client: FltrWebhooks,
  id: string,
  { style, format, accountId, to, secret }: SentAs & { to: string; secret: string },
): Promise<Result> {
  const { event, traceparent, body: text } = await whenAvailable(() => client.getEvent(id));
  if (text === null) return { status_code: null, duration_ms: 0, error: 'the data was removed' };
  const body = bodyFor(format, Buffer.from(text), accountId);
  const at = new Date();
  const headers = attemptHeaders({
    style,
    format,
    eventId: id,
    eventType: event,
    attemptId: newId('att'),
    traceparent,
    body,
    at,
    secrets: { body: secret, standard: [secret] },
  });
  const startedAt = performance.now();
  const result = (status_code: number | null, error: string | null): Result => ({
    status_code,
    duration_ms: Math.round(performance.now() - startedAt),
    error,
  });
  try {
    const signal = AbortSignal.timeout(attemptTimeoutMs);
    const response = await fetch(to, { method: 'POST', headers, body, redirect: 'manual', signal });
    await response.arrayBuffer();
    return result(response.status, null);
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return result(null, cause instanceof Error ? cause.message : String(cause));
  }
}

const line = (id: string, event: string, { status_code, duration_ms, error }: Result): string =>
  [
    new Date().toISOString(),
    String(status_code ?? '-'),
    `${duration_ms} ms`.padStart(8),
    printable(event),
    printable(id),
    printable(error ?? ''),
  ]
    .join('  ')
    .trimEnd();
