import type { Command } from 'commander';
import type { FltrWebhooks } from '../client/fltr-webhooks.ts';
import { newId } from '../domain/ids.ts';
import { attemptHeaders } from '../domain/request-headers.ts';
import { newSecret } from '../domain/signature.ts';
import { filtersThatMatch } from '../domain/subscription.ts';
import { apiCommand, connect, readText, type ApiOptions } from './api-command.ts';
import { wrongUse } from './exit-codes.ts';
import { follow } from './follow.ts';
import { printable, printableJson } from './printable.ts';

type Options = ApiOptions & { forwardTo: string; events: string; secret?: string };

/** As a delivery's attempt has. */
const attemptTimeoutMs = 5000;

/** `listen`: the account's events, sent to a receiver on this machine as the service would send them, without a tunnel. */
export function addListenCommand(program: Command): void {
  apiCommand(program, 'listen')
    .description("send the account's events to a receiver on this machine, signed, until Ctrl-C")
    .requiredOption('--forward-to <url>', 'the receiver, like http://localhost:5000/hook')
    .option('--events <list>', 'separated by commas: types, document.*, dataset.*, or *', '*')
    .option('--secret <secret>', 'signs: whsec_…; @file reads a file; left out: a new one, which is printed')
    .action(async (options: Options) => {
      if (!URL.canParse(options.forwardTo))
        throw wrongUse(`--forward-to must be a URL like http://localhost:5000/hook.`);
      const filters = new Set(options.events.split(',').map((filter) => filter.trim()));
      const secret = await secretOf(options);
      const { client, url } = await connect(options);
      console.error(`Events of ${url} go to ${options.forwardTo}: once each, without retries.`);
      if (options.secret === undefined) console.error(`They are signed with WEBHOOK_SECRET=${secret}`);
      const events = follow({
        list: (page) => client.listEvents(page),
        idOf: ({ id }) => id,
        stateOf: () => 'accepted',
        last: 0,
      });
      for await (const { id, event } of events) {
        if (!filtersThatMatch(event).some((filter) => filters.has(filter))) continue;
        const result = await forward(client, id, { to: options.forwardTo, secret });
        console.log(options.json ? printableJson({ id, event, ...result }) : line(id, event, result));
      }
    });
}

async function secretOf({ secret }: Options): Promise<string> {
  if (secret === undefined) return newSecret();
  const text = secret.startsWith('@') ? (await readText(secret.slice(1))).toString().trim() : secret;
  if (!text.startsWith('whsec_')) throw wrongUse('--secret must be the whole text: whsec_ and base64.');
  return text;
}

type Result = { status_code: number | null; duration_ms: number; error: string | null };

/** The body and the headers are those of an attempt of the service, made by the same code. */
async function forward(
  client: FltrWebhooks,
  id: string,
  { to, secret }: { to: string; secret: string },
): Promise<Result> {
  const { event, traceparent, body: text } = await client.getEvent(id);
  if (text === null) return { status_code: null, duration_ms: 0, error: 'its data is past its retention' };
  const body = Buffer.from(text);
  const at = new Date();
  const headers = attemptHeaders({
    eventId: id,
    eventType: event,
    attemptId: newId('att'),
    traceparent,
    body,
    at,
    secrets: { body: secret, standard: [secret] },
  });
  const startedAt = performance.now();
  const durationMs = () => Math.round(performance.now() - startedAt);
  try {
    const signal = AbortSignal.timeout(attemptTimeoutMs);
    const response = await fetch(to, {
      method: 'POST',
      headers,
      body: new Uint8Array(body),
      redirect: 'manual',
      signal,
    });
    await response.arrayBuffer();
    return { status_code: response.status, duration_ms: durationMs(), error: null };
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return {
      status_code: null,
      duration_ms: durationMs(),
      error: cause instanceof Error ? cause.message : String(cause),
    };
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
