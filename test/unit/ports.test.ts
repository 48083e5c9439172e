import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import express from 'express';
import { expect, onTestFinished, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import { isPortFree } from '../../src/embedded/free-port.ts';
import { StartError } from '../../src/errors.ts';
import { listen } from '../../src/listen.ts';

const host = '127.0.0.1';

test('port 0 is any free port, and the one that it got is returned', async () => {
  const app = express().get('/', (_request, response) => void response.send('here'));
  const server = await listen(app, { name: 'PORT', host, port: 0 });
  onTestFinished(() => server.close());
  expect(await (await fetch(`http://${host}:${server.port}/`)).text()).toBe('here');
});

test('a port that was taken after the first check is a start error with what to do', async () => {
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
