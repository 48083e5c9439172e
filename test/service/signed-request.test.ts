import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SignedRequest } from '../../src/contracts/signed-request.ts';
import { verify } from '../../src/client/verify.ts';
import { signBody } from '../../src/domain/signature.ts';
import { runInProcess } from '../kit/command.ts';
import { waitForStatus } from '../kit/delivery-steps.ts';
import { call, startService, stopAll, type Service } from '../kit/service.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';

const run = promisify(execFile);

let service: Service;
let receiver: Receiver;
/** Where the shells run: nothing may be made there. */
const folder = mkdtempSync(join(tmpdir(), 'fltr-curl-'));
beforeAll(async () => {
  [service, receiver] = await Promise.all([startService(), startReceiver()]);
  const operator = await service.newKey({ accountId: null });
  const type = { description: 'Any data', validation: 'none' };
  const { status } = await call(service.apiUrl, operator, 'PUT', '/v1/event-types/any.data', type);
  expect(status).toBe(201);
});
afterAll(async () => {
  await stopAll(service, receiver);
  rmSync(folder, { recursive: true, force: true });
});

type Sent = { path: string; more?: Record<string, unknown>; data?: Record<string, unknown> };

/** One delivery, delivered, to a webhook of its own. */
async function deliver({ path, more = {}, data = { n: 1 } }: Sent) {
  const { webhook_id: webhookId, secret } = await service.newWebhook(receiver.url + path, {
    events: ['any.data'],
    ...more,
  });
  const { id: eventId, deliveries } = await service.publish({ event: 'any.data', data });
  const deliveryId = deliveries.find((each) => each.webhook_id === webhookId)?.id ?? '';
  await waitForStatus(service, deliveryId, 'delivered');
  // The next event of the type is for the next webhook alone.
  await service.call('PATCH', `/v1/webhooks/${webhookId}`, { active: false });
  return { webhookId, secret, eventId, deliveryId };
}

const sign = (deliveryId: string, body?: unknown, key = service.key) =>
  call<SignedRequest & { code: string; detail: string }>(
    service.apiUrl,
    key,
    'POST',
    `/v1/deliveries/${deliveryId}/signed-request`,
    body,
  );

/** The request that a receiver gets from the command line, run by this shell. */
async function paste(shell: string, curl: string) {
  const count = receiver.requests.length;
  // On standard input, as from a terminal: one argument may not be as long.
  const pasted = run(shell, [], { cwd: folder });
  pasted.child.stdin?.end(`${curl}\n`);
  const { stdout } = await pasted;
  expect(stdout).toMatch(/^HTTP\/1\.1 200 /);
  const [request] = receiver.requests.slice(count);
  if (!request) throw new Error('nothing was received');
  return request;
}

const attacks: Record<string, unknown> = {
  quotes: `it's '' "quoted" \\' \\" '\\''; touch made-by-quotes; '`,
  lines: "one\ntwo\r\n'; touch made-by-lines #\n",
  substitution: '$(touch made-by-dollar) `touch made-by-backtick` ${HOME} $HOME $((1+1)) !! !$ ~ * ?',
  operators: '; touch made-by-semicolon & touch made-by-and | touch made-by-pipe > made-by-redirect',
  formats: '%s %d %n %% \\c \\0101 \\x41 \\n \\\\ \\',
  utf8: 'žluťoučký 漢字 👩‍💻 é \u{10ffff}',
  nul: '\u0000 and \u001b[2J',
};
/** A character that a terminal acts on: pasted, it would delete the quote before it. */
const erasing = `${'\u007f'.repeat(40)}; touch made-by-delete #\u009b2J \u202e\u2028\u2029\ufeff\u00ad`;

test.each(['sh', 'bash', 'dash'])(
  'pasted into %s, the line sends the same request, newly signed',
  async (shell) => {
    const cases: Sent[] = [
      { path: '/plain' },
      { path: '/attacks', data: attacks },
      { path: '/at', data: { '@/etc/passwd': '@-' } },
      { path: '/erasing', data: { ...attacks, erasing } },
      { path: '/large', data: { text: `${'x'.repeat(180_000)} it's \\ $(touch made-by-large)` } },
      { path: "/it's/{a,b}/[1-3]/$(touch${IFS}made-by-url)/../;touch%20x?a=b&c='d", data: attacks },
      ...['slack', 'standard', 'data', 'cloudevents'].map((format) => ({
        path: `/${format}`,
        more: { format },
        data: attacks,
      })),
    ];
    for (const { path, ...rest } of cases) {
      const { secret, eventId, deliveryId } = await deliver({ path, ...rest });
      const first = receiver.requests.at(-1);
      const { status, body } = await sign(deliveryId);
      expect([path, status]).toEqual([path, 200]);
      const again = await paste(shell, body.curl);
      expect([path, again.path]).toEqual([path, first?.path]);
      expect(again.body.equals(first?.body ?? Buffer.alloc(0)), path).toBe(true);
      expect([body.body, body.body_bytes]).toEqual([again.body.toString(), again.body.length]);
      // The receiver's own check, by the time of now.
      const seconds = Number(again.headers['webhook-timestamp']);
      expect(Math.abs(seconds - Date.now() / 1000)).toBeLessThan(60);
      verify({ headers: again.headers, body: again.body, secret });
      expect(again.headers).toMatchObject({
        'x-fltr-signature': signBody(secret, again.body),
        'x-fltr-event': 'any.data',
        'x-fltr-delivery': body.attempt.id,
        'webhook-id': eventId,
        'content-type': first?.headers['content-type'],
        'user-agent': 'FLTR-Webhooks/1.0',
      });
      // No character of the line is anything to a terminal.
      expect(body.curl).not.toMatch(/[\p{Cf}\p{Zl}\p{Zp}]|(?!\n)\p{Cc}/u);
    }
    expect(readdirSync(folder)).toEqual([]);
  },
);

test('headers and authentication of the webhook are placeholders, and names of headers are no code', async () => {
  const name = "X-`touch`-$'&*|!";
  const { deliveryId } = await deliver({
    path: '/secrets',
    more: {
      headers: { [name]: 'value-not-shown', 'X-Api-Key': 'key-not-shown' },
      auth: { type: 'bearer', token: 'token-not-shown' },
    },
  });
  const first = receiver.requests.at(-1);
  expect(first?.headers).toMatchObject({
    'x-api-key': 'key-not-shown',
    authorization: 'Bearer token-not-shown',
  });
  const { body, text } = await sign(deliveryId);
  expect(text).not.toContain('not-shown');
  expect(body.placeholders.toSorted()).toEqual(['Authorization', 'X-Api-Key', name].toSorted());
  const again = await paste('sh', body.curl);
  expect(again.headers).toMatchObject({
    'x-api-key': '<X-Api-Key>',
    authorization: 'Bearer <token>',
    [name.toLowerCase()]: `<${name}>`,
  });
  expect(readdirSync(folder)).toEqual([]);
});

test('an attempt is signed as its webhook signs now: both secrets during an overlap, and v1a', async () => {
  const { webhookId, secret, deliveryId } = await deliver({
    path: '/rotated',
    more: { signatures: ['v1', 'v1a'] },
  });
  const rotated = await service.call<{ secret: string }>('POST', `/v1/webhooks/${webhookId}/rotate-secret`);
  // Moved since: the attempt's own URL counts.
  await service.call('PATCH', `/v1/webhooks/${webhookId}`, { url: `${receiver.url}/moved` });
  const { body } = await sign(deliveryId, { attempt: 1 });
  expect(body.url).toBe(`${receiver.url}/rotated`);
  const again = await paste('sh', body.curl);
  for (const each of [secret, rotated.body.secret])
    verify({ headers: again.headers, body: again.body, secret: each });
  expect(
    String(again.headers['webhook-signature'])
      .split(' ')
      .map((part) => part.split(',')[0]),
  ).toEqual(['v1', 'v1', 'v1a', 'v1a']);
  expect(again.headers['x-fltr-signature']).toBe(signBody(secret, again.body));
});

test('a key without the scope is refused, a request that cannot be signed is a conflict, and each signed one is on record', async () => {
  const { webhookId, deliveryId, eventId } = await deliver({ path: '/refused' });
  const refusedOf = async (response: ReturnType<typeof sign>) => {
    const { status, body } = await response;
    return [status, body.code, body.detail];
  };
  const reader = await service.newKey({
    accountId: service.accountId,
    scopes: ['webhooks:read', 'events:write'],
  });
  expect((await refusedOf(sign(deliveryId, {}, reader))).slice(0, 2)).toEqual([403, 'missing_scope']);
  const { key: stranger } = await service.newAccount();
  expect((await refusedOf(sign(deliveryId, {}, stranger))).slice(0, 2)).toEqual([404, 'not_found']);
  expect((await refusedOf(sign(deliveryId, { attempt: 2 }))).slice(0, 2)).toEqual([404, 'not_found']);
  for (const attempt of [0, -1, 1.5, '1', 1e300])
    expect((await sign(deliveryId, { attempt })).status).toBe(422);
  const records = async () =>
    (
      await service.pool.query(
        `select action, target from audit_records where action = 'attempt.request_signed'
      and target = any(select id from attempts where delivery_id = $1)`,
        [deliveryId],
      )
    ).rows;
  expect(await records()).toEqual([]);
  const { body } = await sign(deliveryId);
  expect(await records()).toEqual([{ action: 'attempt.request_signed', target: body.attempt.id }]);

  const held = await service.newWebhook(`${receiver.url}/held`, { events: ['any.data'], active: false });
  const { deliveries } = await service.publish({ event: 'any.data', data: {} });
  const heldId = deliveries.find((each) => each.webhook_id === held.webhook_id)?.id ?? '';
  expect(await refusedOf(sign(heldId))).toEqual([409, 'delivery_state_conflict', 'It has no attempt yet.']);

  const setFormat = (format: string) =>
    service.pool.query('update attempts set format = $2 where delivery_id = $1', [deliveryId, format]);
  await setFormat('email');
  expect(await refusedOf(sign(deliveryId))).toEqual([
    409,
    'delivery_state_conflict',
    'It was an e-mail, which has no signature.',
  ]);
  await setFormat('fltr');

  await service.pool.query('update events set body = null where id = $1', [eventId]);
  expect(await refusedOf(sign(deliveryId))).toEqual([
    409,
    'payload_removed',
    "Its event's data is past its retention, so it cannot be sent again. Publish it as a new event.",
  ]);
  await service.call('DELETE', `/v1/webhooks/${webhookId}`);
  expect(await refusedOf(sign(deliveryId))).toEqual([
    409,
    'delivery_state_conflict',
    'Its webhook was deleted, and the signing secret with it.',
  ]);
  expect(await records()).toHaveLength(1);
});

test('the command prints the line alone, ready for a shell', async () => {
  const { deliveryId, secret } = await deliver({ path: '/command', data: { ...attacks, erasing } });
  const { code, output } = await runInProcess(
    ['deliveries', 'curl', deliveryId, '--api-url', service.apiUrl, '--key', service.key],
    service.env,
  );
  expect(code).toBe(0);
  const again = await paste('sh', output);
  verify({ headers: again.headers, body: again.body, secret });
  expect(readdirSync(folder)).toEqual([]);
});
