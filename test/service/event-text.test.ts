import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBodyMemory } from '../../src/api/body-memory.ts';
import { bodyFor } from '../../src/domain/wire-body.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { startService, stopAll, until, type Service } from '../kit/service.ts';

let service: Service;
let receiver: Receiver;
beforeAll(async () => {
  [service, receiver] = await Promise.all([startService(), startReceiver()]);
  await service.newWebhook(receiver.url);
});
afterAll(() => stopAll(service, receiver));

type Published = { id: string; duplicate: boolean; code: string; errors?: { pointer: string }[] };
const publish = (text: string) => service.call<Published>('POST', '/v1/events', text);
const publishBatch = async (text: string) => {
  const { body } = await service.call<{
    data: (Published & { status: number; error?: { code: string; errors?: { pointer: string }[] } })[];
  }>('POST', '/v1/events/batch', `{"events" : [ ${text} ]}`);
  return body.data[0];
};
const refs = '"document_id":"d","dataset_id":"s"';
const uploaded = (metadata: string, more = '') =>
  `{${more}"event":"document.uploaded","data":{${refs},"metadata":${metadata}}}`;

const odd =
  '{"b":1.50,"10":-0,"2":1e400,"id":12345678901234567890,"e":"\\u00e9é\\/\\ud800","__proto__":{"x":1}}';

test('data is sent with the digits, the order and the escapes that its producer wrote', async () => {
  const spaced = odd.replaceAll(',', ' ,\n\t').replaceAll(':', ' : ');
  for (const [id, send] of [
    ['evt_single', publish],
    ['evt_batch', publishBatch],
  ] as const) {
    await send(uploaded(spaced, `"id":"${id}", "timestamp":"2024-01-10T12:00:00Z",\r\n`));
    const [request] = await until(
      () => receiver.requests.filter(({ headers }) => headers['webhook-id'] === id),
      ({ length }) => length > 0,
    );
    expect(request?.body.toString()).toBe(
      `{"id":"${id}","event":"document.uploaded","timestamp":"2024-01-10T12:00:00Z","data":{${refs},"metadata":${odd}}}`,
    );
    const shown = await service.call<{ body: string }>('GET', `/v1/events/${id}`);
    expect(shown.body.body).toBe(request?.body.toString());
    expect(shown.text).toContain(`,"data":{${refs},"metadata":${odd}}}`);
  }
});

test('the text of a Slack message has all digits too', () => {
  const body = Buffer.from(
    '{"id":"e","event":"a.b","timestamp":"t","data":{"b":12345678901234567890,"10":"x\\n<"}}',
  );
  expect(JSON.parse(bodyFor('slack', body, 'acc_1').toString())).toEqual({
    text: '*a.b* at t\n• b: 12345678901234567890\n• 10: x &lt;',
  });
});

const slackLines = (data: Record<string, unknown>): string[] => {
  const body = bodyFor('slack', Buffer.from(JSON.stringify({ event: 'a.b', timestamp: 't', data })), 'acc_1');
  const { text } = JSON.parse(body.toString()) as { text: string };
  // As bytes it is valid UTF-8 in every reader: no half of a pair stands in it as an escape either.
  expect([/\p{Surrogate}/u.test(text), body.toString()]).toEqual([
    false,
    expect.not.stringMatching(/\\ud[89a-f]/),
  ]);
  return text.split(/[\n\v\f\r\u0085\u2028\u2029]/).slice(1);
};

test('a Slack message cuts a value between characters, and never inside one', () => {
  expect(slackLines({ name: `${'a'.repeat(299)}😀😀` })).toEqual([`• name: ${'a'.repeat(299)}…`]);
  expect(slackLines({ name: `${'a'.repeat(298)}😀😀` })).toEqual([`• name: ${'a'.repeat(298)}😀…`]);
  expect(slackLines({ name: '😀'.repeat(150) })).toEqual([`• name: ${'😀'.repeat(150)}`]);
  expect(slackLines({ name: 'a\ud83d' })).toEqual(['• name: a\ufffd']);
});

test('no name or value of a Slack message makes a line, a mention or a link of its own', () => {
  const forged = 'x\n• paid: yes\r\n\u2028• a: b\u0085• c: d';
  expect(slackLines({ name: forged, '<!channel>\n• e': '<!here>' })).toEqual([
    '• name: x • paid: yes • a: b • c: d',
    '• &lt;!channel&gt; • e: &lt;!here&gt;',
  ]);
});

test.each([
  [
    'a name twice in data',
    `{"event":"document.deleted","data":{${refs},"document_id":"x"}}`,
    ['/data/document_id'],
  ],
  ['a name twice, once escaped', uploaded('{"a":[{"n":1,"\\u006e":2}]}'), ['/data/metadata/a/0/n']],
  [
    'a name twice at the top',
    `{"event":"document.deleted","event":"document.deleted","data":{${refs}}}`,
    ['/event'],
  ],
  [
    '__proto__ in data',
    `{"event":"document.deleted","data":{${refs},"__proto__":{"a":1}}}`,
    ['/data/__proto__'],
  ],
  ['__proto__ at the top', `{"event":"document.deleted","data":{${refs}},"__proto__":{}}`, ['/__proto__']],
  [
    'too large a number',
    `{"event":"dataset.deleted","data":{"dataset_id":"s","document_count":1e400}}`,
    ['/data/document_count'],
  ],
  ['too deep', uploaded('['.repeat(64) + ']'.repeat(64)), ['/data']],
  [
    '1,001 unknown fields',
    `{"event":"document.deleted","data":{${Array.from({ length: 999 }, (_, index) => `"k${index}":0`).join()},${refs}}}`,
    ['/data'],
  ],
])('%s is refused, alone and in a batch, with its pointer', async (_name, text, pointers) => {
  const alone = await publish(text);
  expect([alone.status, alone.body.code]).toEqual([422, 'validation_failed']);
  expect(alone.body.errors?.map(({ pointer }) => pointer)).toEqual(pointers);
  const inBatch = await publishBatch(text);
  expect([inBatch?.status, inBatch?.error?.errors?.map(({ pointer }) => pointer)]).toEqual([422, pointers]);
});

test('63 levels in metadata, which are 64 in data, are taken', async () => {
  const text = uploaded(`{"a":${'['.repeat(62)}${']'.repeat(62)}}`);
  expect((await publish(text)).status).toBe(202);
  expect((await publishBatch(text))?.status).toBe(202);
});

test('a name that stands twice is refused by every call', async () => {
  const body = `{"url":"${receiver.url}","events":["*"],"url":"${receiver.url}"}`;
  const { status, body: problem } = await service.call<Published>('POST', '/v1/webhooks', body);
  expect([status, problem.errors?.map(({ pointer }) => pointer)]).toEqual([422, ['/url']]);
  const batch = await service.call('POST', '/v1/events/batch', '{"events":[],"events":[]}');
  expect(batch.status).toBe(422);
});

test('the same id: another order and form is a duplicate, another digit is a conflict', async () => {
  const id = '"id":"evt_digits",';
  expect((await publish(uploaded('{"a":9007199254740993,"b":1.5,"c":"\\u0041"}', id))).status).toBe(202);
  const same = await publish(uploaded(' {"c":"A","b":15e-1, "a":9007199254740993}', id));
  expect([same.status, same.body.duplicate]).toEqual([202, true]);
  const other = await publish(uploaded('{"a":9007199254740992,"b":1.5,"c":"A"}', id));
  expect([other.status, other.body.code]).toEqual([409, 'event_id_conflict']);
  const inBatch = await publishBatch(uploaded('{"b":1.50,"a":9007199254740993,"c":"A"}', id));
  expect([inBatch?.status, inBatch?.duplicate]).toEqual([202, true]);
});

test('a batch that is no JSON is refused as a whole, with the position in it', async () => {
  const good = `{"event":"document.deleted","data":{${refs}},"id":"evt_unsent"}`;
  const text = `{"events":[${good},\n{"event" "x"}]}`;
  const { status, body } = await service.call<Published & { detail: string }>(
    'POST',
    '/v1/events/batch',
    text,
  );
  expect([status, body.code]).toEqual([400, 'malformed_json']);
  expect(body.detail).toContain(`at position ${text.indexOf(' "x"') + 1} (line 2 column 10)`);
  expect((await service.call('GET', '/v1/events/evt_unsent')).status).toBe(404);
});

test('memory for bodies is bounded for all, and for each account, and can be released twice', () => {
  const memory = createBodyMemory({ bytes: 100, bytesPerOwner: 60 });
  const [a, b] = [memory.open('a'), memory.open('b')];
  a.add(60);
  expect(() => memory.open('a').add(1)).toThrow('Too many bytes');
  b.add(40);
  expect(() => memory.open('c').add(1)).toThrow('Too many bytes');
  a.release();
  a.release();
  memory.open('c').add(60);
  expect(() => memory.open('d').add(1)).toThrow('Too many bytes');
});
