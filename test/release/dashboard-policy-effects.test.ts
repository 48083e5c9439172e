import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import type { Delivery } from '../../src/contracts/delivery.ts';
import type { Webhook } from '../../src/contracts/webhook.ts';
import { launchBrowser } from '../kit/browser.ts';
import { readDelivery, waitForAll, waitForStatus } from '../kit/delivery-steps.ts';
import { openDashboard } from '../kit/open-dashboard.ts';
import { passTime } from '../kit/pass-time.ts';
import { create, facts, openEdit, openNew, save } from '../kit/policy-form.ts';
import { openAccount } from '../kit/recoveries.ts';
import { startService, stopAll, until, type Service } from '../kit/service.ts';
import { startReceiver } from '../kit/test-receiver.ts';

// Each field is saved, and a receiver shows its effect. Headers: dashboard-policy.test.ts. Authentication and signatures: dashboard-policy-auth.test.ts.
vi.setConfig({ testTimeout: 120_000 });

let service: Service;
let browser: Browser;
beforeAll(async () => {
  [service, browser] = await Promise.all([startService(), launchBrowser()]);
});
afterAll(() => stopAll(browser, service));

/** A receiver whose responses have these statuses, one after the other, each after so many milliseconds, and then 200. */
async function receive({ statuses = [] as number[], delayMs = 0 } = {}) {
  const open = { now: 0, most: 0, delayMs };
  const rest = [...statuses];
  const receiver = await startReceiver((_request, response) => {
    open.now += 1;
    open.most = Math.max(open.most, open.now);
    setTimeout(() => {
      open.now -= 1;
      response.writeHead(rest.shift() ?? 200).end();
    }, open.delayMs);
  });
  onTestFinished(() => receiver.close());
  return Object.assign(receiver, { open, respondWith: (...next: number[]) => rest.push(...next) });
}

async function openMine() {
  const { accountId, key, call, publish } = await openAccount(service);
  const mine: Service = { ...service, accountId, key, call };
  const { page } = await openDashboard(browser, mine, '/webhooks');
  const publishOne = async (more?: Record<string, unknown>) => (await publish(1, more))[0] ?? '';
  return {
    mine,
    page,
    publish,
    publishOne,
    readWebhook: async (id: string) => (await call<Webhook>('GET', `/v1/webhooks/${id}`)).body,
    untilDeferred: async (id: string, reason: string) =>
      until(
        () => readDelivery(mine, id),
        ({ timeline }) => timeline.some((entry) => entry.type === 'wait' && entry.reason === reason),
      ),
  };
}

const retryWaits = ({ timeline }: Delivery): number[] =>
  timeline.flatMap((entry) => (entry.type === 'wait' && entry.reason === undefined ? [entry.seconds] : []));

test('retries: an own schedule, client errors that are retried, jitter, and 410 that disables', async () => {
  const { mine, page, publishOne, readWebhook } = await openMine();
  const receiver = await receive({ statuses: [429, 503] });
  await openNew(page, receiver.url);
  await page.getByRole('radio', { name: /^A schedule of your own/ }).check();
  await page.getByLabel('Wait before each retry').fill('1 s, 2 s');
  await page.getByText('More about retries').click();
  for (const code of [/^408/, /^429/]) await page.getByRole('checkbox', { name: code }).check();
  await page.getByLabel('Jitter, in percent').fill('5');
  await page.getByLabel('After the response 410 Gone').selectOption('disable');
  const id = await create(page);
  const retry = { schedule_seconds: [1, 2], also: ['408', '429'], jitter: 0.05, on_gone: 'disable' };
  expect((await readWebhook(id)).retry).toEqual(retry);
  await facts(page)
    .getByText('After 1 s, 2 s, also after 408, 429, jitter 5%, 410 disables the webhook')
    .waitFor();
  const delivered = await waitForStatus(mine, await publishOne(), 'delivered', 3);
  expect(delivered.attempts.map(({ status_code }) => status_code)).toEqual([429, 503, 200]);

  receiver.respondWith(410);
  await waitForStatus(mine, await publishOne(), 'failed', 1);
  await page.getByText('the receiver responded 410 Gone').waitFor();
  expect((await readWebhook(id)).active).toBe(false);

  const dialog = await openEdit(page, id);
  expect(await dialog.getByRole('checkbox', { name: /^408/ }).isChecked()).toBe(true);
  expect(await dialog.getByLabel('Jitter, in percent').inputValue()).toBe('5');
  await dialog.getByRole('checkbox', { name: /^408/ }).uncheck();
  await dialog.getByLabel('Jitter, in percent').fill('');
  await dialog.getByLabel('After the response 410 Gone').selectOption('fail');
  await save(dialog);
  expect((await readWebhook(id)).retry).toEqual({ schedule_seconds: [1, 2], also: ['429'] });
});

test('retries: a preset is for new deliveries; a schedule is applied to waiting deliveries where that is chosen', async () => {
  const { mine, page, publishOne, readWebhook } = await openMine();
  const receiver = await receive({ statuses: [503, 503, 503, 503] });
  await openNew(page, receiver.url);
  const id = await create(page);
  const waiting = await publishOne();
  expect(retryWaits(await waitForStatus(mine, waiting, 'retrying', 1))).toEqual([60]);

  let dialog = await openEdit(page, id);
  await dialog.getByRole('radio', { name: /^For a week/ }).check();
  await save(dialog);
  await facts(page).getByText('For a week').waitFor();
  expect((await readWebhook(id)).retry).toEqual({ preset: 'week' });
  const other = await publishOne();
  expect(retryWaits(await waitForStatus(mine, other, 'retrying', 1))).toEqual([5]);
  await mine.call('POST', `/v1/deliveries/${other}/cancel`);

  dialog = await openEdit(page, id);
  await dialog.getByRole('radio', { name: /^A schedule of your own/ }).check();
  await dialog.getByLabel('Wait before each retry').fill('1 s, 1 s, 1 s');
  await dialog.getByRole('checkbox', { name: /^Apply to waiting deliveries/ }).check();
  await save(dialog);
  expect((await readWebhook(id)).retry).toEqual({ schedule_seconds: [1, 1, 1] });
  // The wait under way stays. The next one would be of 5 minutes.
  await mine.call('POST', `/v1/deliveries/${waiting}/retry`);
  expect(retryWaits(await waitForStatus(mine, waiting, 'delivered', 4))).toEqual([60, 1, 1]);
  expect(receiver.requests).toHaveLength(5);
});

test('a time limit ends an attempt; without retries, one attempt is all', async () => {
  const { mine, page, publishOne, readWebhook } = await openMine();
  const receiver = await receive({ delayMs: 1500 });
  await openNew(page, receiver.url);
  await page.getByRole('radio', { name: /^No retries/ }).check();
  await page.getByLabel('Time limit of an attempt, in ms').fill('1000');
  const id = await create(page);
  expect(await readWebhook(id)).toMatchObject({ retry: { preset: 'none' }, timeout_ms: 1000 });
  const failed = await waitForStatus(mine, await publishOne(), 'failed', 1);
  expect([failed.reason, failed.attempts[0]?.error?.code]).toEqual(['retries_exhausted', 'timeout_response']);

  const dialog = await openEdit(page, id);
  await dialog.getByLabel('Time limit of an attempt, in ms').fill('');
  await dialog.getByRole('radio', { name: /^As the service/ }).check();
  await save(dialog);
  expect(await readWebhook(id)).toMatchObject({ retry: { preset: 'page' }, timeout_ms: null });
  await waitForStatus(mine, await publishOne(), 'delivered', 1);
});

test('a filter excludes events until it is removed', async () => {
  const { mine, page, publish, readWebhook } = await openMine();
  const receiver = await receive();
  await openNew(page, receiver.url);
  await page.getByLabel('Which events it gets').selectOption('list');
  await page.getByLabel('Path 1').fill('/data/dataset_id');
  await page.getByLabel('Comparison 1').selectOption('prefix');
  await page.getByLabel('Value 1').fill('ds_');
  await page.getByRole('button', { name: 'Add a condition' }).click();
  await page.getByLabel('Path 2').fill('/labels');
  await page.getByLabel('Value 2').fill('region:eu');
  await page.getByLabel('An event must meet').selectOption('all');
  const id = await create(page);
  expect((await readWebhook(id)).filter).toEqual({
    all: [
      { path: '/data/dataset_id', op: 'prefix', value: 'ds_' },
      { path: '/labels', op: 'eq', value: 'region:eu' },
    ],
  });
  expect(await publish(1, { labels: ['region:us'] })).toEqual([]);
  const [matching = ''] = await publish(1, { labels: ['region:eu'] });
  await waitForStatus(mine, matching, 'delivered', 1);
  expect(receiver.requests).toHaveLength(1);
  const dialog = await openEdit(page, id);
  await dialog.getByLabel('Which events it gets').selectOption('none');
  await save(dialog);
  expect((await readWebhook(id)).filter).toBeNull();
  const [unlabelled = ''] = await publish(1);
  await waitForStatus(mine, unlabelled, 'delivered', 1);
});

test('a rate limit defers what is beyond it; requests at once are limited', async () => {
  const { mine, page, publish, publishOne, readWebhook, untilDeferred } = await openMine();
  const receiver = await receive({ delayMs: 200 });
  await openNew(page, receiver.url);
  await page.getByLabel('Requests at once').fill('1');
  const id = await create(page);
  expect(await readWebhook(id)).toMatchObject({ max_concurrent: 1, rate_limit: null });
  await waitForAll(mine, await publish(6), 'delivered', 1);
  expect(receiver.open.most).toBe(1);

  let dialog = await openEdit(page, id);
  await dialog.getByLabel('Requests at once').fill('');
  await dialog.getByLabel('Attempts at most').fill('1');
  await dialog.getByLabel('in so many seconds').fill('3600');
  await save(dialog);
  await facts(page).getByText('1 attempt in 3,600 s').waitFor();
  expect(await readWebhook(id)).toMatchObject({
    max_concurrent: null,
    rate_limit: { attempts: 1, seconds: 3600 },
  });
  await untilDeferred(await publishOne(), 'rate_limit');
  expect(receiver.requests).toHaveLength(6);

  dialog = await openEdit(page, id);
  await dialog.getByLabel('Attempts at most').fill('');
  await save(dialog);
  expect((await readWebhook(id)).rate_limit).toBeNull();
  receiver.open.delayMs = 1000;
  await waitForAll(mine, await publish(6), 'delivered', 1);
  expect(receiver.open.most).toBeGreaterThan(1);
});

test('a webhook that is down gets nothing but probes', async () => {
  const { mine, page, publishOne, readWebhook, untilDeferred } = await openMine();
  const receiver = await receive();
  await openNew(page, receiver.url);
  const id = await create(page);
  let dialog = await openEdit(page, id);
  await dialog.getByRole('checkbox', { name: /^Probe while down/ }).check();
  await save(dialog);
  expect((await readWebhook(id)).probe_when_down).toBe(true);
  await facts(page).getByText('Probed, one attempt at a time').waitFor();
  await mine.pool.query(
    `update webhooks set health_state = 'down', health_since = now(), next_probe_at = now() + interval '1 hour'
     where id = $1`,
    [id],
  );
  await untilDeferred(await publishOne(), 'down');
  expect(receiver.requests).toEqual([]);

  dialog = await openEdit(page, id);
  expect(await dialog.getByRole('checkbox', { name: /^Probe while down/ }).isChecked()).toBe(true);
  await dialog.getByRole('checkbox', { name: /^Probe while down/ }).uncheck();
  await save(dialog);
  expect((await readWebhook(id)).probe_when_down).toBe(false);
});

test('in order: a failed delivery blocks all behind it, until failed deliveries are skipped', async () => {
  const { mine, page, publishOne, readWebhook } = await openMine();
  const receiver = await receive({ statuses: [400] });
  await openNew(page, receiver.url);
  const id = await create(page);
  let dialog = await openEdit(page, id);
  await dialog.getByLabel('Deliveries are sent').selectOption('all');
  await dialog.getByRole('checkbox', { name: /^A failed delivery blocks/ }).check();
  await save(dialog);
  await facts(page).getByText('In order, all of them').waitFor();
  expect(await readWebhook(id)).toMatchObject({ ordering: 'all', on_failure: 'block' });
  await waitForStatus(mine, await publishOne(), 'failed', 1);
  const second = await publishOne();
  expect((await readWebhook(id)).blocked_lines).toBe(1);
  expect(receiver.requests).toHaveLength(1);

  dialog = await openEdit(page, id);
  await dialog.getByRole('checkbox', { name: /^A failed delivery blocks/ }).uncheck();
  await save(dialog);
  expect(await readWebhook(id)).toMatchObject({ ordering: 'all', on_failure: 'skip' });
  await waitForStatus(mine, second, 'delivered', 1);
  dialog = await openEdit(page, id);
  await dialog.getByLabel('Deliveries are sent').selectOption('none');
  await save(dialog);
  expect((await readWebhook(id)).ordering).toBeNull();
});

test('a pause ends at its time; by hand, held deliveries are sent at the chosen rate', async () => {
  const { mine, page, publish, publishOne, readWebhook } = await openMine();
  const receiver = await receive();
  await openNew(page, receiver.url);
  const id = await create(page);
  await page.getByRole('button', { name: 'Pause' }).click();
  const pause = page.getByRole('alertdialog', { name: 'Pause this webhook?' });
  const end = new Date(Date.now() + 2 * 3_600_000).toISOString().slice(0, 16);
  await pause.getByLabel('Until (local time)').fill(end);
  await pause.getByRole('button', { name: 'Pause' }).click();
  await pause.waitFor({ state: 'detached' });
  expect((await readWebhook(id)).paused?.until?.slice(0, 16)).toBe(end);
  const held = await publishOne();
  expect((await readDelivery(mine, held)).status).toBe('held');
  expect(receiver.requests).toEqual([]);
  await passTime(mine.pool, 2 * 3600);
  await waitForStatus(mine, held, 'delivered', 1);
  await page.getByRole('button', { name: 'Pause' }).click();
  await pause.getByRole('button', { name: 'Pause' }).click();
  await pause.waitFor({ state: 'detached' });
  expect((await readWebhook(id)).paused).toMatchObject({ until: null, reason: null });

  const ids = await publish(3);
  await page.getByRole('button', { name: 'Activate' }).click();
  const activate = page.getByRole('dialog', { name: 'Activate this webhook' });
  await activate.getByText('3 deliveries are held.').waitFor();
  await activate.getByLabel('Attempts a second, at most (optional)').fill('1');
  const resumed = page.waitForRequest(/\/resume$/);
  await activate.getByRole('button', { name: 'Activate' }).click();
  expect((await resumed).postDataJSON()).toEqual({ per_second: 1 });
  await waitForAll(mine, ids, 'delivered', 1);
  const deferred = await Promise.all(
    ids.map(async (each) => (await readDelivery(mine, each)).timeline.some((entry) => entry.type === 'wait')),
  );
  expect(deferred.filter(Boolean)).toHaveLength(2);
});
