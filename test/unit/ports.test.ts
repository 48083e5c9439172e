import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { Agent, get, type IncomingMessage } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import express from 'express';
import { expect, onTestFinished, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import { readConfig } from '../../src/config.ts';
import { isPortFree } from '../../src/embedded/free-port.ts';
import { StartError } from '../../src/errors.ts';
import { listen } from '../../src/listen.ts';
import { portOf, requirePorts } from '../../src/require-ports.ts';

const host = '127.0.0.1';

test('port 0 is any free port, and the one that it got is returned', async () => {
  const app = express().get('/', (_request, response) => void response.send('here'));
  const server = await listen(app, { name: 'PORT', host, port: 0 });
  onTestFinished(() => server.close());
  expect(await (await fetch(`http://${host}:${server.port}/`)).text()).toBe('here');
});

test('a port that was taken after the first check is a start error with the remedy', async () => {
  const other = createServer().listen(0, host);
  await once(other, 'listening');
  onTestFinished(() => void other.close());
  const { port } = other.address() as AddressInfo;
  const failed = listen(express(), { name: 'FLTR_WORKER_PORT', host, port });
  await expect(failed).rejects.toThrow(StartError);
  await expect(failed).rejects.toThrow(
    `Port ${port} on ${host} is already in use. Set FLTR_WORKER_PORT to a free port, or stop the program that uses it.`,
  );
});

test('a reserved port is free for a server, and reserved for nobody else', async () => {
  const port = await reservePort();
  expect(await isPortFree(host, port)).toBe(true);
  const socket = createSocket('udp4');
  onTestFinished(() => void socket.close());
  const refused = once(socket, 'error');
  socket.bind(port, host);
  expect((await refused)[0]).toMatchObject({ code: 'EADDRINUSE' });
});

/** A request on a connection that stays open if the server lets it. */
async function ask(agent: Agent, port: number): Promise<string> {
  const [response] = (await once(get({ host, port, agent }), 'response')) as [IncomingMessage];
  response.resume();
  await once(response, 'end');
  return response.headers.connection ?? '';
}

test('a server that another one replaces ends each connection with its next response', async () => {
  const app = express().get('/', (_request, response) => void response.send('here'));
  const server = await listen(app, { name: 'PORT', host, port: 0 });
  const agent = new Agent({ keepAlive: true });
  onTestFinished(() => agent.destroy());
  expect(await ask(agent, server.port)).toBe('keep-alive');
  const drained = server.drain();
  // A connection that is idle stays open: a request may be on its way.
  const early = await Promise.race([drained.then(() => 'ended'), delay(300)]);
  expect(early).toBeUndefined();
  expect(await ask(agent, server.port)).toBe('close');
  await drained;
  await expect(ask(agent, server.port)).rejects.toThrow('ECONNREFUSED');
});

test('a server that is closed while it drains ends idle connections', async () => {
  const server = await listen(express(), { name: 'PORT', host, port: 0 });
  const agent = new Agent({ keepAlive: true });
  onTestFinished(() => agent.destroy());
  await ask(agent, server.port);
  const drained = server.drain();
  await server.close();
  await drained;
});

test('a connection ends with its first response after so long', async () => {
  const server = await listen(express(), { name: 'PORT', host, port: 0, maxAgeMs: 100 });
  const agent = new Agent({ keepAlive: true });
  onTestFinished(() => agent.destroy());
  onTestFinished(() => server.close());
  expect(await ask(agent, server.port)).toBe('keep-alive');
  await delay(150);
  expect(await ask(agent, server.port)).toBe('close');
  expect(await ask(agent, server.port)).toBe('keep-alive');
});

/** The last port of `length` ports in a row: this test holds it, and nothing uses the others. */
async function onlyTakenOfRun(length: number): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const server = createServer().listen(0, host);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const before = Array.from({ length: length - 1 }, (_, i) => port - 1 - i);
    const free = await Promise.all(before.map((each) => isPortFree(host, each)));
    if (free.every(Boolean)) {
      onTestFinished(() => void server.close());
      return port;
    }
    server.close();
  }
  throw new Error(`No ${length} free ports in a row`);
}

test('each process has the next port for the metrics of Temporal, and a restart needs one more', async () => {
  const taken = await onlyTakenOfRun(6);
  const required = (processes: number) => {
    const first = portOf({ host, port: taken - processes }, 1).text;
    return requirePorts(readConfig({ PORT: '0', FLTR_TEMPORAL_METRICS_ADDRESS: first }), 'up', processes);
  };
  for (const processes of [2, 5])
    await expect(required(processes)).rejects.toThrow(`Port ${taken} on ${host} is already in use`);
  expect(portOf({ host: '::1', port: 9464 }, 3)).toEqual({ host: '::1', port: 9466, text: '[::1]:9466' });
});
