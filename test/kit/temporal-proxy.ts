import { once } from 'node:events';
import {
  connect,
  createSecureServer,
  constants,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';

export type TemporalProxy = {
  address: string;
  /** The key that it lets in; it can change. */
  apiKey: string;
  /** `authorization` of each call, and the common name of the client's certificate. */
  calls: { path: string; authorization: string | undefined; client: string | undefined }[];
  close(): Promise<void>;
};

type Options = {
  /** Temporal's own address, without TLS. */
  upstream: string;
  key: Buffer;
  cert: Buffer;
  /** Signs the client certificates that it demands; undefined: it demands none. */
  clientCa?: Buffer;
  apiKey: string;
};

const unauthenticated = '16';

/** A proxy as before a hosted Temporal: TLS, client certificates, API keys. It passes gRPC on unchanged. */
export async function startTemporalProxy(options: Options): Promise<TemporalProxy> {
  const { key, cert, clientCa } = options;
  const upstream = connect(`http://${options.upstream}`);
  await once(upstream, 'connect');
  const server = createSecureServer({
    key,
    cert,
    ...(clientCa ? { ca: clientCa, requestCert: true, rejectUnauthorized: true } : {}),
  });
  const sessions = new Set<ServerHttp2Session>();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => undefined);
    session.on('close', () => sessions.delete(session));
  });
  const proxy: TemporalProxy = {
    address: '',
    apiKey: options.apiKey,
    calls: [],
    async close() {
      for (const session of sessions) session.destroy();
      upstream.destroy();
      server.close();
      await once(server, 'close');
    },
  };
  server.on('stream', (streamOfServer, headers) => {
    const stream = streamOfServer as ServerHttp2Stream;
    const socket = stream.session?.socket as TLSSocket | undefined;
    const { authorization } = headers;
    const client = socket?.getPeerCertificate().subject?.CN;
    proxy.calls.push({ path: headers[':path'] ?? '', authorization, client: [client].flat()[0] });
    stream.on('error', () => undefined);
    if (authorization !== `Bearer ${proxy.apiKey}`) {
      stream.respond(
        {
          ':status': 200,
          'content-type': 'application/grpc',
          'grpc-status': unauthenticated,
          'grpc-message': 'invalid API key',
        },
        { endStream: true },
      );
      return;
    }
    // Its own pseudo-headers are made anew; the key stays here.
    const { authorization: _key, ':authority': _authority, ':scheme': _scheme, ...passedOn } = headers;
    const call = upstream.request(passedOn);
    call.on('error', () => stream.close(constants.NGHTTP2_INTERNAL_ERROR));
    stream.on('close', () => call.close(constants.NGHTTP2_CANCEL));
    stream.pipe(call);
    call.on('response', (response, flags) => {
      const isEnd = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      if (stream.destroyed) return;
      stream.respond(response, isEnd ? { endStream: true } : { waitForTrailers: true });
      if (isEnd) return;
      let trailers = {};
      call.on('trailers', (received) => {
        trailers = received;
      });
      stream.on('wantTrailers', () => stream.sendTrailers(trailers));
      call.pipe(stream);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy.address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return proxy;
}
