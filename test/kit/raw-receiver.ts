import { generateKeyPairSync, sign } from 'node:crypto';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createServer as createNetServer, isIP, type AddressInfo, type Socket } from 'node:net';
import type { TlsOptions } from 'node:tls';
import { onTestFinished } from 'vitest';

export type Certificate = { key: string; cert: string };

export type Receiver = {
  port: number;
  origin: string;
  /** How many connections were ever made to it. */
  connectionCount: () => number;
  sockets: Set<Socket>;
};

/** Takes requests on 127.0.0.1 until the test ends; over TLS when given a certificate. */
export function startReceiver(
  listener: RequestListener,
  certificate?: Certificate & TlsOptions,
): Promise<Receiver & { server: Server }> {
  const server = certificate === undefined ? createServer(listener) : createTlsServer(certificate, listener);
  return listen(server, certificate === undefined ? 'http' : 'https').then((receiver) => ({
    ...receiver,
    server,
  }));
}

/** Takes raw connections on 127.0.0.1 until the test ends; `connection` counts from 1. */
export function startRawReceiver(
  onConnection: (socket: Socket, connection: number) => void,
  scheme: 'http' | 'https' = 'http',
): Promise<Receiver> {
  let count = 0;
  const server = createNetServer((socket) => {
    count += 1;
    socket.on('error', () => {});
    onConnection(socket, count);
  });
  return listen(server, scheme);
}

async function listen(server: ReturnType<typeof createNetServer>, scheme: string): Promise<Receiver> {
  const sockets = new Set<Socket>();
  let count = 0;
  server.on('connection', (socket: Socket) => {
    count += 1;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => {
      server.close(resolve);
    });
  });
  const { port } = server.address() as AddressInfo;
  return { port, origin: `${scheme}://127.0.0.1:${port}`, connectionCount: () => count, sockets };
}

/** A self-signed certificate for host names and IPv4 addresses, made without any tool: Node cannot issue one. */
export function makeCertificate(
  hosts: string[],
  notAfter = new Date(Date.now() + 86_400_000),
  notBefore = new Date(Date.now() - 172_800_000),
): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const algorithm = der(0x30, hex('06082a8648ce3d040302'));
  const name = der(0x30, der(0x31, der(0x30, hex('0603550403'), der(0x0c, Buffer.from('test receiver')))));
  const alternatives = hosts.map((host) =>
    isIP(host) === 4
      ? der(0x87, Buffer.from(host.split('.').map(Number)))
      : der(0x82, Buffer.from(host, 'latin1')),
  );
  const extension = der(0x30, hex('0603551d11'), der(0x04, der(0x30, ...alternatives)));
  const toBeSigned = der(
    0x30,
    hex('a003020102'),
    hex('020101'),
    algorithm,
    name,
    der(0x30, utcTime(notBefore), utcTime(notAfter)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, der(0x30, extension)),
  );
  const signature = der(0x03, Buffer.from([0]), sign('sha256', toBeSigned, privateKey));
  const body = der(0x30, toBeSigned, algorithm, signature).toString('base64').replace(/.{64}/g, '$&\n');
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    cert: `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`,
  };
}

function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  if (length < 0x100) return Buffer.concat([Buffer.from([tag, 0x81, length]), content]);
  return Buffer.concat([Buffer.from([tag, 0x82, length >> 8, length & 0xff]), content]);
}

function hex(text: string): Buffer {
  return Buffer.from(text, 'hex');
}

function utcTime(date: Date): Buffer {
  return der(0x17, Buffer.from(`${date.toISOString().slice(2, 19).replace(/[-T:]/g, '')}Z`));
}
