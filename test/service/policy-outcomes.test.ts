import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import { startMutualReceiver } from '../kit/mutual-receiver.ts';
import { startOAuthServer, type OAuthServer } from '../kit/oauth-server.ts';
import { makeCertificate } from '../kit/raw-receiver.ts';
import { call, startService, stopAll, until, type Service } from '../kit/service.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';

/** The outcome of the first attempt, for each policy and each kind of response. */
let service: Service;
let receiver: Receiver;
let oauth: OAuthServer;
/** Its certificate is signed by nobody. */
let stranger: Server;
const client = { id: 'fltr', secret: 'client-secret' };

/** Within the longest time limit. */
const lateMs = 28_000;

/** Responds as the path says. */
function respond(path: string, response: ServerResponse): void {
  const manner = path.slice(1);
  if (manner === 'hangs') return;
  if (manner === 'late') return void setTimeout(() => response.end(), lateMs);
  if (manner === 'closes') response.socket?.destroy();
  else if (manner === 'garbage') response.socket?.end('SSH-2.0-OpenSSH_9.2\r\n');
  else response.writeHead(Number(manner)).end();
}

beforeAll(async () => {
  oauth = await startOAuthServer([client]);
  stranger = createServer(makeCertificate(['localhost'])).listen(0, '127.0.0.1');
  await once(stranger, 'listening');
  receiver = await startReceiver(({ path }, response) => respond(path, response));
  service = await startService({ FLTR_ATTEMPT_TIMEOUT_MS: '1500', FLTR_DELIVERIES_PER_HOUR: '0' });
});
afterAll(async () => {
  stranger.close();
  await stopAll(service, receiver, oauth);
});

const kinds = [
  ...'200 299 302 404 408 410 429 503 hangs closes garbage'.split(' '),
  ...'refused unknown stranger blocked'.split(' '),
] as const;
const codes: Record<string, string> = {
  302: 'redirect',
  404: 'client_error',
  408: 'client_error',
  410: 'client_error',
  429: 'client_error',
  503: 'server_error',
  hangs: 'timeout_response',
  closes: 'connection_closed',
  garbage: 'malformed_response',
  refused: 'connection_refused',
  unknown: 'dns',
  stranger: 'tls_certificate',
  blocked: 'blocked_address',
};
/** The state of the delivery, the error, and the wait or the reason. */
type Outcome = [status: string, code: string | null, next: string | number | null];
type Outcomes = Record<string, Outcome>;

/** `wait` null: nothing is retried. `also`: client errors that are. */
function outcomes(wait: number | null, also: readonly string[] = []): Outcomes {
  const of = (kind: string): Outcome => {
    const code = codes[kind];
    if (code === undefined) return ['delivered', null, null];
    if (code === 'blocked_address') return ['failed', code, code];
    if (code === 'client_error' && !also.includes(kind)) return ['failed', code, code];
    const shown = code === 'client_error' ? 'client_error_retried' : code;
    return wait === null ? ['failed', shown, 'retries_exhausted'] : ['retrying', shown, wait];
  };
  return Object.fromEntries(kinds.map((kind) => [kind, of(kind)]));
}

type Policy = Record<string, unknown>;
const usual = outcomes(60);

/** The outcomes with that policy; `origin` is the receiver's. */
async function outcomesOf(policy: Policy, origin = receiver.url): Promise<Outcomes> {
  const { accountId, key } = await service.newAccount();
  const urls: Record<string, string> = {
    refused: `http://127.0.0.1:${await reservePort()}/`,
    unknown: 'https://does-not-exist.invalid/',
    stranger: `https://localhost:${(stranger.address() as AddressInfo).port}/`,
    blocked: 'https://example.com/',
  };
  for (const kind of kinds) {
    const body = { url: urls[kind] ?? `${origin}/${kind}`, events: ['*'], ...policy };
    const { status, text } = await call(service.apiUrl, key, 'PUT', `/v1/webhooks/kind-${kind}`, body);
    if (status !== 201) throw new Error(text);
  }
  // As a name whose address changed after the webhook was created.
  await service.pool.query(
    `update webhooks set url = 'https://10.0.0.1/' where account_id = $1 and external_id = 'kind-blocked'`,
    [accountId],
  );
  const published = await call<{ deliveries: unknown[] }>(service.apiUrl, key, 'POST', '/v1/events', {
    event: 'document.deleted',
    data: { document_id: 'doc_1', dataset_id: 'ds_1' },
    labels: ['eu'],
    order_key: 'doc_1',
  });
  type Row = {
    kind: string;
    status: string;
    reason: string | null;
    code: string | null;
    wait: number | null;
  };
  const rows = await until(
    async () =>
      (
        await service.pool.query<Row>(
          `select w.external_id as kind, d.status, d.reason, a.error_code as code, a.wait_seconds as wait
           from deliveries d join webhooks w on w.id = d.webhook_id join attempts a on a.delivery_id = d.id and a.number = 1
           where d.account_id = $1 and d.status <> 'pending'`,
          [accountId],
        )
      ).rows,
    ({ length }) => length === published.body.deliveries.length,
  );
  // A name server that is away gives another code for a name that cannot exist.
  const codeOf = ({ code }: Row) =>
    code !== null && /^(dns_not_found|dns_failure|timeout_dns)$/.test(code) ? 'dns' : code;
  return Object.fromEntries(
    rows.map((row) => [row.kind.replace('kind-', ''), [row.status, codeOf(row), row.wait ?? row.reason]]),
  );
}

test.concurrent(
  'the longest time limit: a response after 28 s is delivered',
  { timeout: 90_000 },
  async () => {
    const { accountId, key } = await service.newAccount();
    const body = { url: `${receiver.url}/late`, events: ['*'], timeout_ms: 30_000 };
    expect((await call(service.apiUrl, key, 'POST', '/v1/webhooks', body)).status).toBe(201);
    const event = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };
    await call(service.apiUrl, key, 'POST', '/v1/events', event);
    type Row = { status: string; number: number };
    const rows = await until(
      async () =>
        (
          await service.pool.query<Row>(
            `select d.status, a.number from deliveries d join attempts a on a.delivery_id = d.id
           where d.account_id = $1`,
            [accountId],
          )
        ).rows,
      ({ length }) => length > 0,
    );
    expect(rows).toEqual([{ status: 'delivered', number: 1 }]);
  },
);

const client4xx = ['404', '408', '429'];
const noToken = Object.fromEntries(
  kinds.map((kind): [string, Outcome] => [kind, ['retrying', 'auth_failed', 60]]),
);
const retry = (policy: Policy) => ({ retry: policy });
const labeled = (value: string) => ({ filter: { path: '/labels', op: 'eq', value } });

test.concurrent.each<[string, Policy, Outcomes]>([
  ['no policy', {}, usual],
  ['page', retry({ preset: 'page' }), usual],
  ['day', retry({ preset: 'day' }), outcomes(5)],
  ['three_days', retry({ preset: 'three_days' }), outcomes(5)],
  ['week', retry({ preset: 'week' }), outcomes(5)],
  ['none', retry({ preset: 'none' }), outcomes(null)],
  ['own waits', retry({ schedule_seconds: [700] }), outcomes(700)],
  ['no waits', retry({ schedule_seconds: [] }), outcomes(null)],
  ['also 429', retry({ preset: 'page', also: ['429'] }), outcomes(60, ['429'])],
  ['also 408', retry({ preset: 'page', also: ['408', '425'] }), outcomes(60, ['408'])],
  ['also 4xx', retry({ preset: 'page', also: ['4xx'] }), outcomes(60, client4xx)],
  ['also 4xx, none', retry({ preset: 'none', also: ['4xx'] }), outcomes(null, client4xx)],
  ['on_gone', retry({ preset: 'page', on_gone: 'disable' }), usual],
  ['timeout_ms', { timeout_ms: 1000 }, usual],
  ['headers', { headers: { 'X-Api-Key': 'k_1' } }, usual],
  ['basic', { auth: { type: 'basic', username: 'fltr', password: 'pass' } }, usual],
  ['bearer', { auth: { type: 'bearer', token: 'token' } }, usual],
  ['a filter that the event meets', labeled('eu'), usual],
  ['a filter that it does not meet', labeled('us'), {}],
  ['rate_limit', { rate_limit: { attempts: 1, seconds: 1 } }, usual],
  ['max_concurrent', { max_concurrent: 1 }, usual],
  ['v1a', { signatures: ['v1a'] }, usual],
  ['probe_when_down', { probe_when_down: true }, usual],
  ['ordering', { ordering: 'by_key', on_failure: 'block' }, usual],
])('%s', async (_name, policy, expected) => {
  expect(await outcomesOf(policy)).toEqual(expected);
});

test('oauth2, with a token and without one', async () => {
  const auth = {
    type: 'oauth2',
    token_url: oauth.tokenUrl,
    client_id: client.id,
    client_secret: client.secret,
  };
  expect(await outcomesOf({ auth })).toEqual(usual);
  const before = receiver.requests.length;
  expect(await outcomesOf({ auth: { ...auth, client_secret: 'wrong' } })).toEqual(noToken);
  expect(receiver.requests.length).toBe(before);
});

test('mtls; over http, in development, the certificate is not used', async () => {
  const { url, ca, one, seen } = await startMutualReceiver(respond);
  const auth = { type: 'mtls', certificate: one.cert, key: one.key, ca };
  expect(await outcomesOf({ auth }, new URL(url).origin)).toEqual(usual);
  expect(new Set(seen.map(({ name }) => name))).toEqual(new Set(['one']));
  expect(await outcomesOf({ auth })).toEqual(usual);
});
