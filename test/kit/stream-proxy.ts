import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * The behaviour of a proxy with `GET /v1/stream`: it passes it on, responds 502 in its place, cuts it as soon as it has passed
 * its first event, or collects the response, of which the client then gets nothing.
 */
export type StreamMode = 'pass' | 'refuse' | 'cut' | 'collect';

/** A proxy in front of the service, at `url`. */
export async function startStreamProxy(upstream: string) {
  let mode: StreamMode = 'pass';
  /** The connections of streams. */
  const streams = new Set<ServerResponse>();
  /** The paths of all requests, without their query. */
  const calls: string[] = [];

  const pass = (incoming: IncomingMessage, outgoing: ServerResponse, isStream: boolean): void => {
    const sent = request(new URL(incoming.url ?? '/', upstream), {
      method: incoming.method,
      headers: incoming.headers,
      agent: false,
    });
    sent.on('error', () => outgoing.destroy());
    outgoing.on('close', () => sent.destroy());
    sent.on('response', (response) => {
      if (isStream && mode === 'collect') return void response.resume();
      outgoing.writeHead(response.statusCode ?? 502, response.headers);
      response.on('data', (part: Buffer) => {
        outgoing.write(part);
        if (isStream && mode === 'cut' && part.includes('event:')) outgoing.destroy();
      });
      response.on('end', () => outgoing.end());
      response.on('error', () => outgoing.destroy());
    });
    incoming.pipe(sent);
  };

  const server = createServer((incoming, outgoing) => {
    const [path = ''] = (incoming.url ?? '').split('?');
    calls.push(path);
    const isStream = path === '/v1/stream';
    if (isStream && mode === 'refuse')
      return void outgoing.writeHead(502, { 'content-type': 'text/html' }).end('<h1>Bad Gateway</h1>');
    if (isStream) {
      streams.add(outgoing);
      outgoing.on('close', () => streams.delete(outgoing));
    }
    pass(incoming, outgoing, isStream);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    /** From now on; the streams that are open are cut. */
    treatStreams(next: StreamMode): void {
      mode = next;
      for (const stream of streams) stream.destroy();
    },
    close(): Promise<void> {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      return closed;
    },
  };
}
