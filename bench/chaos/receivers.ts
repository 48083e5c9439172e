import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export const behaviours = [
  'good',
  'failing',
  'refusing',
  'hanging',
  'closing',
  'slow',
  'tooSlow',
  'flaky',
  'onceGood',
  'gone',
  'busy',
  'late',
] as const;
export type Behaviour = (typeof behaviours)[number];

export type Request = {
  at: number;
  path: string;
  eventId: string;
  attemptId: string;
  bodyDigest: string;
  /** The header `Authorization`. */
  authorization: string | null;
  /** The status that was sent; null: none was. */
  status: number | null;
  /** When the response was sent, or the connection closed. Infinity: not yet. */
  endedAt: number;
};

export type Receivers = {
  url(path: string): string;
  behave(path: string, behaviour: Behaviour): void;
  resetBehaviour(): void;
  requests: Request[];
  /** How many requests wait for a response. */
  open(): number;
  close(): Promise<void>;
};

const slowMs = 1000;
/** From 6 to 11 seconds: a group makes no attempt that may take longer than ten. */
const lateMs = 6000;
const lateByMs = 5000;
/** In the `Retry-After` of a 429. */
export const retryAfterSeconds = 1200;

type Exchange = {
  /** Of the requests to its path. */
  count: number;
  tooSlowMs: number;
  isOpen: () => boolean;
  close: () => void;
  send: (status: number, headers?: Record<string, string>) => void;
};

function respondAs(behaviour: Behaviour, { count, tooSlowMs, isOpen, close, send }: Exchange): void {
  switch (behaviour) {
    case 'good':
    case 'onceGood':
      return send(200);
    case 'failing':
      return send(500);
    case 'refusing':
      return send(404);
    case 'hanging':
      return;
    case 'closing':
      return close();
    case 'slow':
      setTimeout(() => send(200), slowMs);
      return;
    case 'tooSlow':
      setTimeout(() => send(200), tooSlowMs);
      return;
    case 'flaky':
      return send(count % 2 === 0 ? 200 : 503);
    case 'gone':
      return send(410);
    case 'busy':
      return count % 3 === 1 ? send(429, { 'retry-after': String(retryAfterSeconds) }) : send(200);
    case 'late':
      setTimeout(
        () => {
          if (isOpen()) send(200);
        },
        lateMs + ((count * 1700) % lateByMs),
      );
  }
}

/** One server for all webhooks, each with a path of its own. `tooSlowMs`: later than an attempt's time limit. */
export async function startReceivers(tooSlowMs: number): Promise<Receivers> {
  const behaviourOf = new Map<string, Behaviour>();
  const countOf = new Map<string, number>();
  const requests: Request[] = [];
  let open = 0;

  const respond = (record: Request, request: IncomingMessage, response: ServerResponse): void => {
    const { path } = record;
    const count = (countOf.get(path) ?? 0) + 1;
    countOf.set(path, count);
    const behaviour = behaviourOf.get(path) ?? 'good';
    if (behaviour === 'onceGood') behaviourOf.set(path, 'failing');
    respondAs(behaviour, {
      count,
      tooSlowMs,
      isOpen: () => record.endedAt === Infinity,
      close: () => void request.socket.destroy(),
      send(status, headers = {}) {
        record.status = status;
        record.endedAt = Date.now();
        response.writeHead(status, headers).end();
      },
    });
  };

  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const chunks: Buffer[] = [];
    open += 1;
    response.once('close', () => (open -= 1));
    request.on('error', () => undefined);
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      const record: Request = {
        at: Date.now(),
        path: request.url ?? '',
        eventId: eventIdOf(body),
        attemptId: String(request.headers['x-fltr-delivery']),
        bodyDigest: createHash('sha256').update(body).digest('hex'),
        authorization: request.headers.authorization ?? null,
        status: null,
        endedAt: Infinity,
      };
      response.once('close', () => (record.endedAt = Math.min(record.endedAt, Date.now())));
      requests.push(record);
      respond(record, request, response);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: (path) => `http://127.0.0.1:${port}${path}`,
    behave: (path, behaviour) => void behaviourOf.set(path, behaviour),
    resetBehaviour: () => behaviourOf.clear(),
    requests,
    open: () => open,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function eventIdOf(body: Buffer): string {
  try {
    return String((JSON.parse(body.toString()) as { id?: unknown }).id);
  } catch {
    return 'not JSON';
  }
}
