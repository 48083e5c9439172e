import type { RequestListener } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createAddressGuard } from '../../src/outbound/address-guard.ts';
import { createOAuthTokens, type TokenSource } from '../../src/outbound/oauth-tokens.ts';
import { createSender } from '../../src/outbound/sender.ts';
import { readTokenResponse } from '../../src/outbound/token-response.ts';
import { startOAuthServer } from '../kit/oauth-server.ts';
import { startReceiver } from '../kit/raw-receiver.ts';

const client = { id: 'fltr client', secret: 'sec:ret & 100%' };
const userAgent = 'FLTR-Webhooks/1.0';

function makeTokens({ production = false, timeoutMs = 2_000 } = {}) {
  const guard = createAddressGuard({ production, allowedCidrs: [] });
  const sender = createSender({ guard, timeoutMs });
  onTestFinished(() => sender.close());
  const tokens = createOAuthTokens({ send: sender.send, userAgent });
  const get = async (tokenUrl: string, more: Partial<TokenSource> = {}, webhookId = 'wh_1') => {
    const source = { tokenUrl, clientId: client.id, clientSecret: client.secret, ...more };
    return tokens.get({ webhookId, accountId: 'acc_1', source, timeoutMs });
  };
  return { tokens, get };
}

async function startServer(options?: Parameters<typeof startOAuthServer>[1]) {
  const server = await startOAuthServer([client, { id: 'other', secret: 'other secret' }], options);
  onTestFinished(() => server.close());
  return server;
}

/** A token URL that responds so, on a real socket. */
async function startTokenUrl(listener: RequestListener) {
  const { origin, connectionCount } = await startReceiver(listener);
  return { tokenUrl: `${origin}/token`, connectionCount };
}

const failure = (detail: RegExp) => ({
  kind: 'failed',
  detail: expect.stringMatching(detail) as string,
  startedAt: expect.any(Date) as Date,
  durationMs: expect.any(Number) as number,
});
const tokenOf = (got: Awaited<ReturnType<ReturnType<typeof makeTokens>['get']>>): string => {
  if (got.kind === 'failed') throw new Error(got.detail);
  return got.token;
};

describe('with a real authorization server', () => {
  test('a token is fetched once, kept, and accepted', async () => {
    const server = await startServer();
    const { get, tokens } = makeTokens();
    const first = await get(server.tokenUrl, { scope: 'webhooks:write' });
    expect(first).toMatchObject({ kind: 'token', isKept: false });
    expect(await server.accepts(`Bearer ${tokenOf(first)}`)).toBe(true);
    const second = await get(server.tokenUrl, { scope: 'webhooks:write' });
    expect(second).toEqual({ kind: 'token', token: tokenOf(first), isKept: true, durationMs: 0 });
    expect(server.tokenRequests()).toBe(1);
    expect(tokens.count()).toBe(1);
  });

  test('attempts at the same time share one request; each webhook has its own token', async () => {
    const server = await startServer();
    const { get } = makeTokens();
    const got = await Promise.all(Array.from({ length: 20 }, () => get(server.tokenUrl)));
    expect(new Set(got.map(tokenOf)).size).toBe(1);
    expect(server.tokenRequests()).toBe(1);
    const other = await get(server.tokenUrl, {}, 'wh_2');
    expect(tokenOf(other)).not.toBe(tokenOf(got[0] as never));
    expect(server.tokenRequests()).toBe(2);
  });

  test('a token is replaced a minute before it expires, and leaves the memory then', async () => {
    const server = await startServer({ lifeSeconds: 63 });
    const { get, tokens } = makeTokens();
    const first = tokenOf(await get(server.tokenUrl));
    await delay(2_000);
    expect(tokenOf(await get(server.tokenUrl))).toBe(first);
    await delay(1_200);
    expect(tokens.count()).toBe(0);
    expect(tokenOf(await get(server.tokenUrl))).not.toBe(first);
    expect(server.tokenRequests()).toBe(2);
  });

  test('a dropped token is fetched again; dropping an old one leaves the new one', async () => {
    const server = await startServer();
    const { get, tokens } = makeTokens();
    const first = tokenOf(await get(server.tokenUrl));
    await server.revoke(first);
    expect(await server.accepts(`Bearer ${first}`)).toBe(false);
    tokens.drop('wh_1', first);
    const second = await get(server.tokenUrl);
    expect(second).toMatchObject({ isKept: false });
    expect(await server.accepts(`Bearer ${tokenOf(second)}`)).toBe(true);
    tokens.drop('wh_1', first);
    expect(await get(server.tokenUrl)).toMatchObject({ isKept: true, token: tokenOf(second) });
  });

  test('changed credentials never get the token of the former ones', async () => {
    const server = await startServer();
    const { get, tokens } = makeTokens();
    const first = tokenOf(await get(server.tokenUrl));
    const other = { clientId: 'other', clientSecret: 'other secret' };
    const second = tokenOf(await get(server.tokenUrl, other));
    expect(second).not.toBe(first);
    expect(tokenOf(await get(server.tokenUrl, other))).toBe(second);
    expect(tokens.count()).toBe(1);
    expect(await get(server.tokenUrl, { clientSecret: 'wrong' })).toEqual(
      failure(/responded 401 \(invalid_client\)\. Check client_id and client_secret\.$/),
    );
    expect(await get(server.tokenUrl, { scope: 'not-allowed' })).toEqual(
      failure(/responded 400 \(invalid_scope\)\. Check scope\.$/),
    );
  });
});

test('credentials and parameters are sent as RFC 6749 specifies', async () => {
  const seen: string[][] = [];
  const { tokenUrl } = await startTokenUrl((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const { authorization = '', 'user-agent': agent = '' } = request.headers;
      const credentials = Buffer.from(authorization.slice(6), 'base64').toString();
      seen.push([request.method ?? '', credentials, agent, body]);
      response.end(JSON.stringify({ access_token: 'abc', token_type: 'bearer', expires_in: '3600' }));
    });
  });
  const { get } = makeTokens();
  expect(await get(tokenUrl, { scope: 'a b', audience: 'https://api.test/' })).toMatchObject({
    token: 'abc',
  });
  expect(seen).toEqual([
    [
      'POST',
      'fltr+client:sec%3Aret+%26+100%25',
      userAgent,
      'grant_type=client_credentials&scope=a+b&audience=https%3A%2F%2Fapi.test%2F',
    ],
  ]);
});

test('redirects are not followed', async () => {
  const target = await startTokenUrl((_request, response) => {
    response.end(JSON.stringify({ access_token: 'stolen' }));
  });
  const { tokenUrl } = await startTokenUrl((_request, response) => {
    response.writeHead(307, { location: target.tokenUrl }).end();
  });
  expect(await makeTokens().get(tokenUrl)).toEqual(failure(/responded 307\. Redirects are not followed/));
  expect(target.connectionCount()).toBe(0);
});

test('a token URL that hangs takes no longer than the attempt may, also for those who wait with it', async () => {
  const { tokenUrl, connectionCount } = await startTokenUrl(() => undefined);
  const { get } = makeTokens({ timeoutMs: 400 });
  const start = performance.now();
  const first = get(tokenUrl);
  await delay(200);
  const [one, two] = await Promise.all([first, get(tokenUrl)]);
  expect(performance.now() - start).toBeLessThan(1_500);
  expect(one).toEqual(failure(/did not respond\. Read: connected, but no status and headers came/));
  expect(two).toEqual(failure(/did not respond/));
  expect(one.durationMs).toBeGreaterThanOrEqual(395);
  expect(connectionCount()).toBe(1);
  // A failure is not kept.
  await get(tokenUrl);
  expect(connectionCount()).toBe(2);
});

test('a token URL that nobody may be sent to, or where nobody listens, has its own words', async () => {
  expect(await makeTokens({ production: true }).get('https://127.0.0.1/token')).toEqual(
    failure(/address that webhooks may not be sent to/),
  );
  expect(await makeTokens().get('http://127.0.0.1:1/token')).toEqual(failure(/Connect: refused/));
});

test('a response of more than 16 KiB, or without an end, is refused', async () => {
  const large = await startTokenUrl((_request, response) => {
    response.end(JSON.stringify({ access_token: 'abc', more: 'x'.repeat(16 * 1024) }));
  });
  expect(await makeTokens().get(large.tokenUrl)).toEqual(failure(/larger than 16 KiB/));
  const endless = await startTokenUrl((_request, response) => {
    response.write('{"access_token":"abc"');
  });
  expect(await makeTokens({ timeoutMs: 300 }).get(endless.tokenUrl)).toEqual(
    failure(/within the time limit/),
  );
});

test('the memory holds 1,000 tokens at most', async () => {
  const { tokenUrl } = await startTokenUrl((_request, response) => {
    response.end(JSON.stringify({ access_token: 'abc', expires_in: 3600 }));
  });
  const { get, tokens } = makeTokens({ timeoutMs: 30_000 });
  for (let batch = 0; batch < 11; batch += 1)
    await Promise.all(Array.from({ length: 100 }, (_, index) => get(tokenUrl, {}, `wh_${batch}_${index}`)));
  expect(tokens.count()).toBe(1_000);
});

describe('the response of a token URL', () => {
  const read = (body: unknown, statusCode = 200) =>
    readTokenResponse({
      statusCode,
      body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
      truncated: false,
    });

  test.each([
    [{ access_token: 'a', expires_in: 3600, token_type: 'Bearer' }, 3600],
    [{ access_token: 'a', expires_in: '90' }, 90],
    [{ access_token: 'a' }, 300],
    [{ access_token: 'a', expires_in: null }, 300],
    [{ access_token: 'a', expires_in: 'soon' }, 300],
    [{ access_token: 'a', expires_in: 1e12 }, 86_400],
    [{ access_token: 'a', expires_in: -5 }, -5],
  ])('%j is valid for %d s', (body, expiresInSeconds) => {
    expect(read(body)).toEqual({ token: 'a', expiresInSeconds });
  });

  test('a token of 8,192 characters is the longest', () => {
    expect(read({ access_token: 'a'.repeat(8192) })).toHaveProperty('token');
    expect(read({ access_token: 'a'.repeat(8193) })).toHaveProperty('detail');
  });

  test.each(['', 'null', '[]', '"abc"', 'not JSON', '{}', '{"access_token":""}', '{"access_token":7}'])(
    '%j has no token',
    (body) => {
      expect(read(body)).toEqual({
        detail: expect.stringMatching(/must be JSON with an access_token/) as string,
      });
    },
  );

  test('a token that would break out of its header is refused', () => {
    expect(read({ access_token: 'a\r\nHost: b' })).toHaveProperty('detail');
    expect(read({ access_token: 'a', token_type: 'mac' })).toEqual({
      detail: expect.stringMatching(/token_type/) as string,
    });
  });

  test("the server's error is shown only where it is a code of the standard", () => {
    const readError = (error: unknown, status: number) =>
      read({ error, error_description: 'sec:ret' }, status);
    expect(readError('invalid_target', 400)).toEqual({
      detail: 'No access token: the token URL responded 400 (invalid_target). Check audience.',
    });
    for (const error of ['sec:ret', '__proto__', 'constructor', 7, null])
      expect(readError(error, 400)).toEqual({
        detail: 'No access token: the token URL responded 400. It must respond 200 with JSON.',
      });
    expect(readError('', 403)).toEqual({ detail: expect.stringMatching(/Check client_id/) as string });
    expect(readError('', 503)).toEqual({
      detail: expect.stringMatching(/a fault of the authorization/) as string,
    });
  });
});
