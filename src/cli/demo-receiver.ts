import { createHmac, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Settings } from '../contracts/settings.ts';

export type DemoRequest = {
  webhook: string;
  eventId: string;
  event: string;
  /** Counts from 1, for this event at this webhook. */
  number: number;
  /** `X-FLTR-Delivery`, or with another prefix. */
  attemptId: string;
  /** `webhook-id`. */
  standardId: string;
  body: Buffer;
  arrivedAtMs: number;
  respondedAtMs: number;
  statusCode: number;
  /** The faults of its signatures and headers; empty: verified. */
  faults: string[];
};

export type DemoReceiver = {
  origin: string;
  requests: DemoRequest[];
  /** Serves `/name`: verifies with the secret and responds to attempt `number` of an event with `statusOf(number)`. */
  serve(name: string, secret: string, statusOf: (number: number) => number): void;
  close(): Promise<void>;
};

const toleranceSeconds = 300;

/** The settings that determine the headers. */
type Expected = Pick<Settings, 'header_prefix' | 'user_agent' | 'signatures'>;

/** A receiver on a free local port, which verifies each request and reports it after the response. */
export async function startDemoReceiver(
  expected: Expected,
  onRequest: (request: DemoRequest) => void,
): Promise<DemoReceiver> {
  const requests: DemoRequest[] = [];
  const webhooks = new Map<string, { secret: string; statusOf: (number: number) => number }>();
  const server = createServer((request, response) => {
    const arrivedAtMs = performance.now();
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const webhook = request.url?.slice(1) ?? '';
      const served = webhooks.get(webhook);
      if (!served) {
        response.writeHead(410).end();
        return;
      }
      const body = Buffer.concat(chunks);
      const { headers } = request;
      const event = readEvent(body);
      const number =
        1 + requests.filter((other) => other.webhook === webhook && other.eventId === event.id).length;
      const faults = verify(headers, body, { ...expected, secret: served.secret, event: event.event });
      const received: DemoRequest = {
        webhook,
        eventId: event.id,
        event: event.event,
        number,
        attemptId: headerOf(headers, `${expected.header_prefix}delivery`),
        standardId: headerOf(headers, 'webhook-id'),
        body,
        arrivedAtMs,
        respondedAtMs: performance.now(),
        statusCode: faults.length === 0 ? served.statusOf(number) : 401,
        faults,
      };
      requests.push(received);
      response.writeHead(received.statusCode).end();
      onRequest(received);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://localhost:${(server.address() as AddressInfo).port}`,
    requests,
    serve: (name, secret, statusOf) => void webhooks.set(name, { secret, statusOf }),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Written from the documentation alone, without the functions that sign. */
function verify(
  headers: IncomingHttpHeaders,
  body: Buffer,
  { secret, event, header_prefix: prefix, user_agent: userAgent, signatures }: Expected & Signed,
): string[] {
  const faults: string[] = [];
  const hex = createHmac('sha256', secret).update(body).digest('hex');
  if (signatures.includes('fltr') && !isEqual(hex, headerOf(headers, `${prefix}signature`)))
    faults.push(`${prefix}Signature is wrong`);
  if (signatures.includes('standard')) faults.push(...verifyStandard(headers, body, secret));
  const wanted = {
    'content-type': 'application/json',
    'user-agent': userAgent,
    [`${prefix}Event`]: event,
  };
  for (const [name, value] of Object.entries(wanted)) {
    if (headerOf(headers, name) !== value) faults.push(`${name} is not ${value}`);
  }
  return faults;
}

type Signed = { secret: string; event: string };

function verifyStandard(headers: IncomingHttpHeaders, body: Buffer, secret: string): string[] {
  const faults: string[] = [];
  const timestamp = headerOf(headers, 'webhook-timestamp');
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  const signed = `${headerOf(headers, 'webhook-id')}.${timestamp}.`;
  const base64 = createHmac('sha256', key).update(signed).update(body).digest('base64');
  const signatures = headerOf(headers, 'webhook-signature').split(' ');
  if (!signatures.some((signature) => isEqual(`v1,${base64}`, signature)))
    faults.push('webhook-signature is wrong');
  const ageSeconds = Math.abs(Date.now() / 1000 - Number(timestamp));
  if (!(ageSeconds <= toleranceSeconds)) faults.push('webhook-timestamp is not current');
  return faults;
}

function isEqual(expected: string, received: string): boolean {
  const a = Buffer.from(expected);
  const b = Buffer.from(received);
  return a.length === b.length && timingSafeEqual(a, b);
}

function headerOf(headers: IncomingHttpHeaders, name: string): string {
  return headers[name.toLowerCase()]?.toString() ?? '';
}

function readEvent(body: Buffer): { id: string; event: string } {
  try {
    const { id, event } = JSON.parse(body.toString()) as Record<string, unknown>;
    return { id: String(id), event: String(event) };
  } catch {
    return { id: '', event: '' };
  }
}
