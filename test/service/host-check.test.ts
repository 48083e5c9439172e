import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createHostCheck } from '../../src/api/host-check.ts';
import { startService, type Service } from '../kit/service.ts';

let service: Service;
beforeAll(async () => {
  service = await startService({ FLTR_API_REQUESTS_PER_MINUTE: '600' }, 'api');
});
afterAll(() => service.stop());

type Response = { status: number | undefined; code: string | undefined };

/** A request with just these headers, in this order: names that stand twice are sent twice. */
async function send(headers: string[], path = '/v1/webhooks'): Promise<Response> {
  const { hostname, port } = new URL(service.apiUrl);
  const sent = request({ hostname, port, path, headers, setHost: false }).end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const body = await text(response);
  const isProblem = response.headers['content-type']?.includes('problem') === true;
  return {
    status: response.statusCode,
    code: isProblem ? (JSON.parse(body) as { code: string }).code : undefined,
  };
}

const mayCall = (HOST: string, host: string | undefined, FLTR_ENV: 'development' | 'production') => {
  try {
    createHostCheck({ HOST, FLTR_ENV })({ headers: { host } });
    return true;
  } catch {
    return false;
  }
};

const strangers = [
  'evil.example',
  'evil.example:3000',
  'localhost.evil.example',
  'evil-localhost',
  'notlocalhost:3000',
  '127.0.0.1.evil.example',
  '127.0.0.1@evil.example',
  'evil.example#localhost',
  'evil.example\\localhost',
  '[::1].evil.example',
  'localhost evil.example',
  'localhost:3000:80',
  '',
];
const machine = [
  'localhost',
  'localhost:3000',
  'LOCALHOST:3000',
  'localhost.',
  'fltr.localhost:3000',
  '127.0.0.1',
  '127.0.0.1:3000',
  '127.0.0.2:3000',
  '[::1]',
  '[::1]:3000',
  '[0:0:0:0:0:0:0:1]:3000',
];

test.each(['127.0.0.1', 'localhost', '::1', '[::1]', '0.0.0.0', '::', '192.168.1.5', 'webhooks.internal'])(
  'in development a service on %s responds as itself and as this machine only',
  (listensOn) => {
    const own = listensOn.includes(':') && !listensOn.startsWith('[') ? `[${listensOn}]` : listensOn;
    for (const host of [...machine, own, `${own}:3000`, `${own.toUpperCase()}:3000`, undefined])
      expect([host, mayCall(listensOn, host, 'development')]).toEqual([host, true]);
    for (const host of strangers) {
      expect([host, mayCall(listensOn, host, 'development')]).toEqual([host, false]);
      // A proxy decides there.
      expect(mayCall(listensOn, host, 'production')).toBe(true);
    }
  },
);

test('another address of the machine is its own where it listens on all of them', () => {
  for (const host of ['192.168.1.5:3000', '10.0.0.1', '[fd12::1]:3000', '[2001:db8::1]']) {
    for (const all of ['0.0.0.0', '::', '[::]', '0:0:0:0:0:0:0:0'])
      expect([host, all, mayCall(all, host, 'development')]).toEqual([host, all, true]);
    expect([host, mayCall('127.0.0.1', host, 'development')]).toEqual([host, false]);
  }
  expect(mayCall('0.0.0.0', '192.168.1.5.evil.example', 'development')).toBe(false);
});

test('a page of another site, whose name leads here, reads nothing', async () => {
  for (const path of [
    '/',
    '/metrics',
    '/openapi.json',
    '/docs',
    '/readyz',
    '/session',
    '/v1/webhooks',
    '/x',
  ]) {
    const refused = await send(['Host', 'evil.example', 'Authorization', `Bearer ${service.key}`], path);
    expect([path, refused]).toEqual([path, { status: 421, code: 'host_refused' }]);
  }
  const { host } = new URL(service.apiUrl);
  const called = await send(['Host', host, 'Authorization', `Bearer ${service.key}`]);
  expect(called.status).toBe(200);
});

test('two Host or two Authorization headers are refused, the same value twice included', async () => {
  const { host } = new URL(service.apiUrl);
  const key = `Bearer ${service.key}`;
  for (const headers of [
    ['Host', host, 'Host', 'evil.example', 'Authorization', key],
    ['Host', 'evil.example', 'host', host, 'Authorization', key],
    ['Host', host, 'HOST', host, 'Authorization', key],
    ['Host', host, 'Authorization', key, 'authorization', 'Bearer another'],
    ['Host', host, 'Authorization', 'Bearer another', 'Authorization', key],
  ]) {
    expect([headers, await send(headers)]).toEqual([headers, { status: 400, code: 'bad_request' }]);
  }
});
