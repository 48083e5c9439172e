import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Delivery, DeliverySummary } from '../../src/contracts/delivery.ts';
import type { Operation } from '../../src/contracts/operation.ts';
import { runInProcess } from '../kit/command.ts';
import { readDelivery, waitForAll, waitForStatus } from '../kit/delivery-steps.ts';
import { ofKey, publishKeyed, startOrderedReceiver } from '../kit/ordered.ts';
import { openAccount } from '../kit/recoveries.ts';
import { startService, until, type Service } from '../kit/service.ts';

let service: Service;
beforeAll(async () => {
  service = await startService({ FLTR_RETRY_SCHEDULE_SECONDS: '600', FLTR_DELIVERIES_PER_HOUR: '0' });
});
afterAll(() => service.stop());

type Page = { data: DeliverySummary[]; next_cursor: string | null };
type Mine = Service & { list: (query: string) => Promise<Page> };

/** The service, as an account of its own sees it. */
async function openMine(): Promise<Mine> {
  const { accountId, key, call } = await openAccount(service);
  const mine: Service = { ...service, accountId, key, call };
  const list = async (query: string): Promise<Page> => {
    const { status, text, body } = await mine.call<Page>('GET', `/v1/deliveries?${query}`);
    if (status !== 200) throw new Error(text);
    return body;
  };
  return { ...mine, list };
}

async function newOrdered(mine: Mine, url: string, more: Record<string, unknown> = {}): Promise<string> {
  const policy = { ordering: 'by_key', on_failure: 'block', ...more };
  const { status, text, body } = await mine.call<{ webhook_id: string }>('POST', '/v1/webhooks', {
    url,
    events: ['*'],
    ...policy,
  });
  if (status !== 201) throw new Error(text);
  return body.webhook_id;
}

/** A receiver that refuses the first event of each key but `fine`, until it is repaired. */
async function receiveRefusing() {
  let isRefusing = true;
  const receiver = await startOrderedReceiver(({ key, number }, response) => {
    response.writeHead(isRefusing && number === 1 && key !== 'fine' ? 400 : 200).end();
  });
  onTestFinished(() => receiver.close());
  return Object.assign(receiver, { repair: () => (isRefusing = false) });
}

const idsOf = ({ data }: Page): string[] => data.map(({ id }) => id);
const untilBlocked = (mine: Mine, count: number): Promise<Page> =>
  until(
    () => mine.list('blocks_line=true'),
    ({ data }) => data.length === count,
  );

test('blocking deliveries are found with how many wait behind each, those that wait by their order, and both by order key', async () => {
  const [mine, stranger] = [await openMine(), await openMine()];
  const receiver = await receiveRefusing();
  const webhookId = await newOrdered(mine, receiver.url);
  const [a1 = '', a2 = '', a3 = '', b1 = '', b2 = '', fine = ''] = await publishKeyed(mine, [
    ...ofKey('a', 3),
    ...ofKey('b', 2),
    ...ofKey('fine', 1),
  ]);
  await waitForStatus(mine, fine, 'delivered', 1);
  const { data } = await untilBlocked(mine, 2);
  expect(data).toMatchObject([
    { id: b1, status: 'failed', order_key: 'b', blocks_line: { waiting: 1 } },
    { id: a1, status: 'failed', order_key: 'a', blocks_line: { waiting: 2 } },
  ]);
  for (const { blocks_line: blocks, ended_at: ended } of data)
    expect(Date.parse(blocks?.since ?? '')).toBeGreaterThanOrEqual(Date.parse(ended ?? ''));
  expect(await readDelivery(mine, a1)).toMatchObject({ order_key: 'a', blocks_line: data[1]?.blocks_line });
  expect(await readDelivery(mine, fine)).toMatchObject({ order_key: 'fine', blocks_line: null });

  const waiting = await mine.list('waits_for=order');
  expect(waiting.data.map(({ id, waits_for, order_key }) => [id, waits_for, order_key])).toEqual([
    [b2, { reason: 'order', delivery_id: b1 }, 'b'],
    [a3, { reason: 'order', delivery_id: a1 }, 'a'],
    [a2, { reason: 'order', delivery_id: a1 }, 'a'],
  ]);
  const { event_id: eventId } = await readDelivery(mine, a2);
  for (const [query, ids] of [
    ['order_key=a', [a3, a2, a1]],
    ['order_key=none', []],
    ['order_key=a&status=pending', [a3, a2]],
    ['order_key=a&code=4xx', [a1]],
    [`order_key=a&webhook_id=${webhookId}`, [a3, a2, a1]],
    ['order_key=a&webhook_id=wh_none', []],
    ['order_key=a&waits_for=order', [a3, a2]],
    ['order_key=b&blocks_line=true', [b1]],
    [`order_key=a&event_id=${eventId}`, [a2]],
    [`waits_for=order&event_id=${eventId}`, [a2]],
    ['waits_for=order&status=failed', []],
    [`waits_for=order&webhook_id=${webhookId}`, [b2, a3, a2]],
    ['waits_for=order&event=dataset.deleted', []],
    ['waits_for=order&deferred=true', []],
    ['waits_for=scheduled', []],
    ['blocks_line=true&code=400', [b1, a1]],
    ['blocks_line=true&code=5xx', []],
    ['blocks_line=true&status=pending', []],
    [`blocks_line=true&webhook_id=${webhookId}`, [b1, a1]],
  ] as const)
    expect([query, idsOf(await mine.list(query))]).toEqual([query, ids]);

  for (const [query, all] of [
    ['waits_for=order', [b2, a3, a2]],
    ['blocks_line=true', [b1, a1]],
    ['order_key=a', [a3, a2, a1]],
  ] as const) {
    const first = await mine.list(`${query}&limit=1`);
    const rest = await mine.list(`${query}&cursor=${first.next_cursor}`);
    expect([...idsOf(first), ...idsOf(rest)]).toEqual(all);
    for (const more of ['', `&webhook_id=${webhookId}`])
      expect((await stranger.list(`${query}${more}`)).data).toEqual([]);
    const response = await fetch(`${service.apiUrl}/v1/deliveries?${query}`, {
      headers: { authorization: `Bearer ${mine.key}`, accept: 'application/x-ndjson' },
    });
    const lines = (await response.text()).trim().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as Delivery).id)).toEqual(all);
  }
  const none = { pending: 0, retrying: 0, delivered: 0, failed: 0, held: 0, canceled: 0 };
  for (const [query, counts] of [
    ['waits_for=order', { pending: 3 }],
    ['blocks_line=true', { failed: 2 }],
    ['order_key=a', { pending: 2, failed: 1 }],
  ] as const) {
    const count = async (who: Mine) =>
      (await who.call<{ counts: object }>('GET', `/v1/deliveries/counts?${query}`)).body.counts;
    expect([query, await count(mine)]).toEqual([query, { ...none, ...counts }]);
    expect([query, await count(stranger)]).toEqual([query, none]);
  }
  for (const query of ['blocks_line=false', 'waits_for=down', 'order_key=', `order_key=${'k'.repeat(201)}`])
    expect((await mine.call('GET', `/v1/deliveries?${query}`)).status).toBe(422);
});

test('operations cancel and retry blocking deliveries, and cancel those that wait behind them', async () => {
  const [mine, stranger] = [await openMine(), await openMine()];
  const receiver = await receiveRefusing();
  await newOrdered(mine, receiver.url);
  const [a1 = '', a2 = '', b1 = '', b2 = '', b3 = ''] = await publishKeyed(mine, [
    ...ofKey('a', 2),
    ...ofKey('b', 3),
  ]);
  await untilBlocked(mine, 2);
  const act = async (action: string, filter: object, who = mine): Promise<number> => {
    const { status, text, body } = await who.call<Operation>('POST', '/v1/deliveries/actions', {
      action,
      filter: { since: '2020-01-01T00:00:00Z', ...filter },
    });
    if (status !== 202) throw new Error(text);
    return body.total;
  };
  expect(await act('cancel', { blocks_line: true }, stranger)).toBe(0);
  // It has failed, and can be canceled all the same.
  expect(await act('cancel', { blocks_line: true, order_key: 'a' })).toBe(1);
  await waitForStatus(mine, a2, 'delivered', 1);
  expect((await readDelivery(mine, a1)).status).toBe('canceled');
  expect(await act('cancel', { waits_for: 'order', ids: [b1, b2] })).toBe(1);
  await waitForStatus(mine, b2, 'canceled', 0);
  receiver.repair();
  expect(await act('retry', { blocks_line: true })).toBe(1);
  await waitForAll(mine, [b1], 'delivered', 2);
  await waitForStatus(mine, b3, 'delivered', 1);
  expect([await mine.list('blocks_line=true'), await mine.list('waits_for=order')]).toMatchObject([
    { data: [] },
    { data: [] },
  ]);
});

test('with all, a line has no order key; held deliveries count as waiting behind the one that blocks', async () => {
  const mine = await openMine();
  const receiver = await receiveRefusing();
  const id = await newOrdered(mine, receiver.url, { ordering: 'all' });
  const [first = '', second = ''] = await publishKeyed(mine, ofKey('a', 2));
  expect((await untilBlocked(mine, 1)).data).toMatchObject([
    { id: first, order_key: null, blocks_line: { waiting: 1 } },
  ]);
  expect(idsOf(await mine.list('waits_for=order'))).toEqual([second]);
  expect(idsOf(await mine.list('order_key=a'))).toEqual([]);
  await mine.call('PATCH', `/v1/webhooks/${id}`, { active: false });
  await waitForStatus(mine, second, 'held', 0);
  expect(await readDelivery(mine, second)).toMatchObject({ waits_for: null });
  expect(idsOf(await mine.list('waits_for=order'))).toEqual([]);
  expect(await readDelivery(mine, first)).toMatchObject({ blocks_line: { waiting: 1 } });
});

test('scheduled deliveries are found by the reason of their wait', async () => {
  const mine = await openMine();
  const receiver = await receiveRefusing();
  await newOrdered(mine, receiver.url, { ordering: undefined });
  const publish = async (more: object): Promise<string> => {
    const data = { document_id: 'fine', dataset_id: '1' };
    const event = { event: 'document.deleted', data, ...more };
    const { body } = await mine.call<{ deliveries: { id: string }[] }>('POST', '/v1/events', event);
    return body.deliveries[0]?.id ?? '';
  };
  const later = await publish({ deliver_at: new Date(Date.now() + 3_600_000).toISOString() });
  await waitForStatus(mine, await publish({}), 'delivered', 1);
  expect(idsOf(await mine.list('waits_for=scheduled'))).toEqual([later]);
  expect(idsOf(await mine.list('waits_for=order'))).toEqual([]);
});

test('commands list blocking and waiting deliveries, and show why', async () => {
  const mine = await openMine();
  const receiver = await receiveRefusing();
  const webhookId = await newOrdered(mine, receiver.url);
  const [first = '', second = ''] = await publishKeyed(mine, ofKey('a', 2));
  await untilBlocked(mine, 1);
  const folder = mkdtempSync(join(tmpdir(), 'fltr-lines-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const run = async (...command: string[]): Promise<string> => {
    const env = { FLTR_API_URL: service.apiUrl, FLTR_API_KEY: mine.key, FLTR_DATA_DIR: folder };
    const { code, output } = await runInProcess(['deliveries', ...command], env);
    expect([code, output]).toEqual([0, output]);
    return output;
  };
  for (const [filter, [there, missing]] of [
    [['--blocks-line'], [first, second]],
    [
      ['--waits-for', 'order', '--order-key', 'a'],
      [second, first],
    ],
  ] as const) {
    const output = await run('list', '--webhook', webhookId, ...filter);
    expect(output).toContain(there);
    expect(output).not.toContain(missing);
  }
  expect(await run('show', first)).toMatch(/order key +a\nblocks +1 delivery behind it, since 2\d{3}-/);
  expect(await run('act', 'cancel', '--blocks-line', '--since', '2020-01-01T00:00:00Z', '--dry-run')).toBe(
    '1 deliveries match. Nothing was done.\n',
  );
});
