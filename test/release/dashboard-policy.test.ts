import type { Browser, Locator } from 'playwright-core';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import type { Delivery } from '../../src/contracts/delivery.ts';
import type { Webhook } from '../../src/contracts/webhook.ts';
import { findBarriers, launchBrowser, openTab } from '../kit/browser.ts';
import { insertPast } from '../kit/dashboard-data.ts';
import { heading, openDashboard, untilFocused, untilRefused } from '../kit/open-dashboard.ts';
import { facts, openEdit, openPolicy, save } from '../kit/policy-form.ts';
import { call, startService, stopAll, until, type Service } from '../kit/service.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';

vi.setConfig({ testTimeout: 120_000 });

let service: Service;
let receiver: Receiver;
let browser: Browser;
const gone = new Set<string>();
beforeAll(async () => {
  [service, receiver, browser] = await Promise.all([
    startService(),
    startReceiver(({ path }, response) => response.writeHead(gone.has(path) ? 410 : 200).end()),
    launchBrowser(),
  ]);
});
afterAll(() => stopAll(browser, service, receiver));

type Event = { id: string; labels: string[]; deliveries: unknown[] };
type Calls = {
  accountId: string;
  key: string;
  mine: <T = Webhook>(method: string, path: string, body?: unknown) => Promise<T>;
};

async function newAccount(): Promise<Calls> {
  const { accountId, key } = await service.newAccount();
  return {
    accountId,
    key,
    async mine<T>(method: string, path: string, body?: unknown) {
      const response = await call<T>(service.apiUrl, key, method, path, body);
      if (response.status >= 400) throw new Error(response.text);
      return response.body;
    },
  };
}

const newWebhook = (mine: Calls['mine'], policy: object = {}) =>
  mine('POST', '/v1/webhooks', { url: `${receiver.url}/policy`, events: ['*'], ...policy });

test('a webhook without a policy looks as before; one is created with retries, limits and a filter', async () => {
  const { key, mine } = await newAccount();
  const { page } = await openDashboard(browser, service, '/webhooks/new', { key });
  await page.getByLabel('URL', { exact: true }).fill(`${receiver.url}/created`);
  await page.getByRole('checkbox', { name: '*', exact: true }).check();
  expect(await page.getByRole('radio', { name: /^For a day/ }).count()).toBe(0);
  await openPolicy(page);

  // Each preset explains its effect in an outage.
  for (const name of ['As the service', 'For a day', 'For three days', 'For a week', 'No retries'])
    await page.getByRole('radio', { name: new RegExp(`^${name}.*(hour|night|weekend)`) }).waitFor();
  await page.getByRole('radio', { name: /^A schedule of your own/ }).check();
  const schedule = page.getByLabel('Wait before each retry');
  await schedule.fill('5 s, soon');
  await page.getByText('More about retries').click();
  await page.getByRole('checkbox', { name: /^429/ }).check();
  await page.getByLabel('Jitter, in percent').fill('50');
  await page.getByRole('button', { name: 'Create' }).click();
  await untilRefused(schedule, /separated by commas/);
  await untilFocused(schedule);
  await schedule.fill('5 s, 5 min, 2 h');
  await page.getByText('Now: 3 retries, the last one 2 h 05 min after the first attempt.').waitFor();
  await page.getByRole('button', { name: 'Create' }).click();
  const jitter = page.getByLabel('Jitter, in percent');
  await untilRefused(jitter, /0\.2/);
  await untilFocused(jitter);
  await jitter.fill('7');
  await page.getByLabel('Time limit of an attempt, in ms').fill('10000');
  await page.getByLabel('Attempts at most').fill('10');
  await page.getByLabel('Requests at once').fill('4');
  await page.getByLabel('Which events it gets').selectOption('list');
  await page.getByLabel('Path 1').fill('/data/amount');
  await page.getByLabel('Comparison 1').selectOption('gte');
  await page.getByLabel('Value 1').fill('100');
  await page.getByRole('button', { name: 'Add a condition' }).click();
  await page.getByLabel('Path 2').fill('/labels');
  await page.getByLabel('Value 2').fill('eu');
  await page.getByRole('checkbox', { name: /^Probe while down/ }).check();
  await page.getByRole('button', { name: 'Create' }).click();

  await heading(page, /\/created$/).waitFor();
  const [created] = (await mine<{ data: Webhook[] }>('GET', '/v1/webhooks')).data;
  expect(created).toMatchObject({
    retry: { schedule_seconds: [5, 300, 7200], also: ['429'], jitter: 0.07 },
    timeout_ms: 10_000,
    rate_limit: { attempts: 10, seconds: 1 },
    max_concurrent: 4,
    filter: {
      all: [
        { path: '/data/amount', op: 'gte', value: 100 },
        { path: '/labels', op: 'eq', value: 'eu' },
      ],
    },
    probe_when_down: true,
  });
  await facts(page).getByText('After 5 s, 5 min, 2 h, also after 429, jitter 7%').waitFor();
  await facts(page).getByText('10,000 ms an attempt').waitFor();
  await facts(page).getByText('10 attempts in a second').waitFor();
  await facts(page).getByText('Probed, one attempt at a time').waitFor();
  const filter = page.getByRole('region', { name: 'Filter', exact: true });
  await filter.getByText('/data/amount is at least 100').waitFor();
});

test('an edit sends the changed fields only; the schedule reaches waiting deliveries where that is wanted', async () => {
  const { key, mine } = await newAccount();
  const { webhook_id: id } = await newWebhook(mine);
  const { page } = await openDashboard(browser, service, '/webhooks', { key });
  const patches: unknown[] = [];
  page.on('request', (request) => {
    if (request.method() === 'PATCH') patches.push(request.postDataJSON());
  });
  await page.goto(`/webhooks/${id}`);
  await heading(page, /\/policy$/).waitFor();
  const terms = () => facts(page).getByRole('term').allInnerTexts();
  expect(await terms()).toEqual(['URL', 'Description', 'Events', 'Format', 'Created', 'Updated']);
  expect(await page.getByRole('region', { name: 'Filter', exact: true }).count()).toBe(0);

  let dialog = await openEdit(page, id);
  await save(dialog);
  const plain = { url: `${receiver.url}/policy`, events: ['*'], description: null, format: 'fltr' };
  expect(patches.pop()).toEqual(plain);
  dialog = await openEdit(page, id);
  await dialog.getByRole('radio', { name: /^For a day/ }).check();
  await dialog.getByRole('checkbox', { name: /^Apply to waiting deliveries/ }).check();
  await save(dialog);
  expect(patches.pop()).toEqual({ ...plain, retry: { preset: 'day' }, apply_to: 'waiting' });
  await facts(page).getByText('For a day').waitFor();

  dialog = await openEdit(page, id);
  await dialog.getByText('set: retries').waitFor();
  await dialog.getByRole('radio', { name: /^As the service/ }).check();
  await dialog.getByLabel('Which events it gets').selectOption('json');
  const filter = dialog.getByLabel('Filter', { exact: true });
  await filter.fill('{"all": [');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await untilRefused(filter, /Not valid JSON/);
  await filter.fill('{"not": {"path": "/event", "op": "prefix", "value": "dataset."}}');
  await save(dialog);
  await page.getByRole('region', { name: 'Filter', exact: true }).getByText('"prefix"').waitFor();
  // A filter that is more than a list of conditions stays as it was written.
  dialog = await openEdit(page, id);
  expect(await dialog.getByLabel('Which events it gets').inputValue()).toBe('json');
  await dialog.getByLabel('Which events it gets').selectOption('none');
  await save(dialog);
  expect(patches.pop()).toEqual({ ...plain, filter: null });
  await page.getByRole('region', { name: 'Filter', exact: true }).waitFor({ state: 'detached' });
});

test('while it is down, list and page say since when, and offer the probe', async () => {
  const { accountId, key, mine } = await newAccount();
  const { webhook_id: id } = await newWebhook(mine);
  await insertPast(service, { accountId, webhookId: id, count: 25, minutes: 30, failedEvery: 1 });
  const since = '2026-01-10T12:00:00Z';
  await service.pool.query(`update webhooks set health_state = 'down', health_since = $2 where id = $1`, [
    id,
    since,
  ]);
  const { page } = await openDashboard(browser, service, '/webhooks', { key });
  const row = page.getByRole('row').filter({ hasText: '/policy' });
  await row.getByText('down', { exact: true }).waitFor();
  await row.getByText(/since/).waitFor();
  await row.getByRole('link', { name: /policy/ }).click();
  await page.getByText('The receiver is down since 10 Jan 2026, 12:00:00.').waitFor();
  expect(await findBarriers(page)).toEqual([]);
  await page.getByRole('button', { name: 'Probe while down' }).click();
  await page.getByRole('button', { name: 'Probe while down' }).waitFor({ state: 'detached' });
  await page.getByText('One attempt at a time tests it').waitFor();
  expect((await mine('GET', `/v1/webhooks/${id}`)).probe_when_down).toBe(true);
  const next = new Date(Date.now() + 300_000).toISOString();
  await service.pool.query(`update webhooks set next_probe_at = $2 where id = $1`, [id, next]);
  await page.reload();
  await page.getByText(/the next one in 4 min \d\d s/).waitFor();
  await page.goto('/webhooks');
  await row.getByText(/next probe in 4 min/).waitFor();
});

test.each([
  { colorScheme: 'light', width: 1280, height: 800 },
  { colorScheme: 'dark', width: 360, height: 740 },
] as const)('the open section in $colorScheme, $width wide: no barrier, no overflow', async (window) => {
  const { key, mine } = await newAccount();
  const conditions = ['/data/a', '/data/a-path-that-is-long/and-goes-on/and-on/and-on'];
  const { webhook_id: id } = await newWebhook(mine, {
    retry: { schedule_seconds: [5, 60], also: ['429'], jitter: 0.1, on_gone: 'disable' },
    filter: { all: conditions.map((path) => ({ path, op: 'eq', value: 'x'.repeat(60) })) },
    rate_limit: { attempts: 1, seconds: 1 },
  });
  const { page } = await openDashboard(browser, service, '/webhooks/new', { ...window, key });
  const isWide = async () =>
    (await page.evaluate<number>('document.scrollingElement.scrollWidth')) > window.width ||
    (await page.evaluate<boolean>(
      `[...document.querySelectorAll('.dialog')].some((each) => each.scrollWidth > each.clientWidth)`,
    ));
  await openPolicy(page);
  await page.getByRole('button', { name: 'Add a header' }).click();
  await page.getByRole('radio', { name: /^A schedule of your own/ }).check();
  for (const type of ['basic', 'bearer', 'oauth2', 'mtls']) {
    await page.getByLabel('Requests are authenticated with').selectOption(type);
    expect([type, await findBarriers(page), await isWide()]).toEqual([type, [], false]);
  }
  const dialog = await openEdit(page, id);
  await dialog.getByLabel('Path 2').waitFor();
  expect([await findBarriers(page), await isWide()]).toEqual([[], false]);
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  await page.getByRole('region', { name: 'Filter', exact: true }).waitFor();
  expect([await findBarriers(page), await isWide()]).toEqual([[], false]);
});

test('the section is opened and filled in by keyboard alone', async () => {
  const { key, mine } = await newAccount();
  const { webhook_id: id } = await newWebhook(mine);
  const { page } = await openDashboard(browser, service, `/webhooks/${id}`, { key });
  await page.getByRole('button', { name: 'Edit' }).press('Enter');
  const dialog = page.getByRole('dialog', { name: 'Edit webhook' });
  await dialog.waitFor();
  const tabTo = async (target: Locator) => {
    for (let presses = 0; presses < 80; presses += 1) {
      if ((await target.and(page.locator(':focus')).count()) > 0) return;
      await page.keyboard.press('Tab');
    }
    throw new Error(`Tab did not lead to ${String(target)}`);
  };
  await tabTo(dialog.locator('summary').filter({ hasText: 'Policy' }));
  await page.keyboard.press('Enter');
  await tabTo(dialog.getByRole('radio', { name: /^As the service/ }));
  await page.keyboard.press('ArrowDown');
  await tabTo(dialog.getByLabel('Requests at once'));
  await page.keyboard.type('7');
  await page.keyboard.press('Enter');
  await dialog.waitFor({ state: 'detached' });
  expect(await mine('GET', `/v1/webhooks/${id}`)).toMatchObject({
    retry: { preset: 'day' },
    max_concurrent: 7,
  });
});

test('by a portal link, a customer sets the policy of a webhook', async () => {
  const { mine } = await newAccount();
  const { webhook_id: id } = await newWebhook(mine);
  const { url } = await mine<{ url: string }>('POST', '/v1/portal-links', {});
  const { page, context } = await openTab(browser, service.apiUrl);
  onTestFinished(() => context.close());
  await page.goto(url);
  await page.getByRole('link', { name: /policy/ }).click();
  await page.getByRole('button', { name: 'Edit' }).click();
  const dialog = page.getByRole('dialog', { name: 'Edit webhook' });
  await openPolicy(dialog);
  await dialog.getByRole('radio', { name: /^For three days/ }).check();
  expect(await findBarriers(page)).toEqual([]);
  await save(dialog);
  await facts(page).getByText('For three days').waitFor();
  expect((await mine('GET', `/v1/webhooks/${id}`)).retry).toEqual({ preset: 'three_days' });
});

test('a filter is tried with an example; an event is sent with labels, and its page says why a webhook has none of it', async () => {
  const { key, mine } = await newAccount();
  const { webhook_id: id } = await newWebhook(mine, {
    filter: { all: [{ path: '/labels', op: 'eq', value: 'region:eu' }] },
  });
  await mine('POST', '/v1/webhooks', { url: `${receiver.url}/all`, events: ['*'] });
  const { page } = await openDashboard(browser, service, `/webhooks/${id}`, { key });
  const filter = page.getByRole('region', { name: 'Filter', exact: true });
  await filter.getByText('Try it with an example').click();
  expect(await findBarriers(page)).toEqual([]);
  await filter.getByLabel('Type').selectOption('document.deleted');
  await filter.getByRole('button', { name: 'Would it be sent?' }).click();
  await filter.getByText(/^No\. The filter requires \/labels to be "region:eu"\./).waitFor();
  await filter.getByLabel('Labels (optional)').fill('tier:1, region:eu');
  await filter.getByRole('button', { name: 'Would it be sent?' }).click();
  await filter.getByText('Yes, the webhook gets it.').waitFor();
  expect((await mine<{ data: unknown[] }>('GET', '/v1/events')).data).toEqual([]);

  await page.goto('/events/send?event=document.deleted');
  await page.getByText('2 webhooks. One has a filter, which may exclude the event.').waitFor();
  const send = async (labels: string) => {
    await page.getByLabel('Labels (optional)').fill(labels);
    await page.getByRole('button', { name: 'Send event' }).click();
    await page.getByRole('status').getByText('Accepted:').waitFor();
    const link = page.getByRole('status').getByRole('link');
    return mine<Event>('GET', `/v1/events/${(await link.textContent()) ?? ''}`);
  };
  const toBoth = await send('region:eu, tier:1');
  expect([toBoth.labels, toBoth.deliveries.length]).toEqual([['region:eu', 'tier:1'], 2]);
  const { id: eventId, deliveries } = await send('region:us');
  expect(deliveries).toHaveLength(1);
  await page.goto(`/events/${eventId}`);
  await page.getByRole('region', { name: 'Details' }).getByText('region:us').waitFor();
  await page.getByText('Not sent to 1 webhook, and why').click();
  const other = page.getByRole('listitem').filter({ hasText: '/policy' });
  await other.getByText('The filter requires /labels to be "region:eu".').waitFor();
  expect(await findBarriers(page)).toEqual([]);
});

test('a delivery shows why it waits: the rate limit, the receiver, one that is down', async () => {
  const { key, mine } = await newAccount();
  const limited = await newWebhook(mine, { rate_limit: { attempts: 1, seconds: 600 } });
  const publish = async () => {
    const event = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };
    const { deliveries } = await mine<{ deliveries: { id: string }[] }>('POST', '/v1/events', event);
    return deliveries[0]?.id ?? '';
  };
  const untilWaiting = (id: string, reason: string) =>
    until(
      () => mine<Delivery>('GET', `/v1/deliveries/${id}`),
      ({ timeline }) => timeline.some((entry) => entry.type === 'wait' && entry.reason === reason),
    );
  await publish();
  const second = await publish();
  await untilWaiting(second, 'rate_limit');
  const { page } = await openDashboard(browser, service, `/log/${second}`, { key });
  const summary = page.getByRole('region', { name: 'Summary' });
  const timeline = page.getByRole('region', { name: 'Timeline' });
  await summary.getByText(/Deferred: the webhook reached its rate limit\./).waitFor();
  await timeline.getByText(/^Deferred by the webhook’s rate limit for (10|9) min/).waitFor();
  await mine('DELETE', `/v1/webhooks/${limited.webhook_id}`);

  const { webhook_id: down } = await newWebhook(mine, { probe_when_down: true });
  await service.pool.query(
    `update webhooks set health_state = 'down', health_since = now(), next_probe_at = now() + interval '1 hour'
     where id = $1`,
    [down],
  );
  const deferred = await publish();
  await untilWaiting(deferred, 'down');
  await page.goto(`/log/${deferred}`);
  await summary
    .getByText(/Deferred: the webhook is down\. One delivery at a time, the oldest first, tests/)
    .waitFor();
  await summary
    .getByText(/in 59 min/)
    .first()
    .waitFor();
  await timeline.getByRole('listitem').filter({ hasText: 'at the latest: the webhook is down' }).waitFor();
  expect(await findBarriers(page)).toEqual([]);
});

test('headers and authentication are written only: each is kept, replaced or removed, and the receiver gets it', async () => {
  const { key, mine } = await newAccount();
  const { page } = await openDashboard(browser, service, '/webhooks/new', { key });
  await page.getByLabel('URL', { exact: true }).fill(`${receiver.url}/secrets`);
  await page.getByRole('checkbox', { name: '*', exact: true }).check();
  await openPolicy(page);
  await page.getByRole('button', { name: 'Add a header' }).click();
  await page.getByLabel('Name of header 1').fill('Content-Length');
  await page.getByLabel('Value of header 1').fill('1');
  await page.getByRole('button', { name: 'Create' }).click();
  await untilRefused(page.getByLabel('Name of header 1'), /./);
  await untilFocused(page.getByLabel('Name of header 1'));
  await page.getByLabel('Name of header 1').fill('X-Api-Key');
  await page.getByLabel('Value of header 1').fill('key-one');
  await page.getByRole('button', { name: 'Add a header' }).click();
  await page.getByLabel('Name of header 2').fill('X-Tenant');
  await page.getByLabel('Value of header 2').fill('acme');
  await page.getByLabel('Requests are authenticated with').selectOption('basic');
  await page.getByLabel('User name').fill('fltr');
  await page.getByRole('button', { name: 'Create' }).click();
  await untilRefused(page.getByLabel('Password'), /empty/);
  await page.getByLabel('Password').fill('pa55word');
  await page.getByRole('button', { name: 'Create' }).click();
  await heading(page, /\/secrets$/).waitFor();
  const [created] = (await mine<{ data: Webhook[] }>('GET', '/v1/webhooks')).data;
  const id = created?.webhook_id ?? '';
  const isSecretShown = async () => /key-one|pa55word|token-two/.test(await page.content());
  await facts(page).getByText('X-Api-Key').waitFor();
  await facts(page).getByText('User name: fltr').waitFor();
  expect(await isSecretShown()).toBe(false);
  const sent = async () => {
    const before = receiver.requests.length;
    await mine('POST', '/v1/webhooks/test', { webhook_id: id, event: 'document.deleted' });
    return receiver.requests[before]?.headers;
  };
  expect(await sent()).toMatchObject({
    'x-api-key': 'key-one',
    'x-tenant': 'acme',
    authorization: `Basic ${Buffer.from('fltr:pa55word').toString('base64')}`,
  });

  let dialog = await openEdit(page, id);
  await dialog.getByText('Is set. User name: fltr').waitFor();
  expect(await dialog.getByLabel('Password').count()).toBe(0);
  expect(await dialog.getByLabel('New value of X-Api-Key').inputValue()).toBe('');
  expect(await isSecretShown()).toBe(false);
  await save(dialog);
  expect(await sent()).toMatchObject({ 'x-api-key': 'key-one', authorization: expect.any(String) });

  dialog = await openEdit(page, id);
  await dialog.getByLabel('New value of X-Api-Key').fill('key-two');
  await dialog.getByRole('button', { name: 'Remove header X-Tenant' }).click();
  await dialog.getByRole('button', { name: 'Replace' }).click();
  await dialog.getByLabel('Requests are authenticated with').selectOption('bearer');
  await dialog.getByLabel('Token', { exact: true }).fill('token-two');
  await save(dialog);
  await facts(page).getByText('Bearer: a token').waitFor();
  const replaced = await sent();
  expect(replaced).toMatchObject({ 'x-api-key': 'key-two', authorization: 'Bearer token-two' });
  expect(replaced).not.toHaveProperty('x-tenant');

  dialog = await openEdit(page, id);
  await dialog.getByLabel('Requests are authenticated with').selectOption('none');
  await dialog.getByRole('button', { name: 'Remove header X-Api-Key' }).click();
  await save(dialog);
  expect(await mine('GET', `/v1/webhooks/${id}`)).toMatchObject({ headers: {}, auth: null });
  const plain = await sent();
  for (const name of ['x-api-key', 'authorization']) expect(plain).not.toHaveProperty(name);
});

test('a webhook whose receiver responded 410 says so', async () => {
  const { key, mine } = await newAccount();
  gone.add('/gone');
  const { webhook_id: id } = await mine('POST', '/v1/webhooks', {
    url: `${receiver.url}/gone`,
    events: ['*'],
    retry: { preset: 'page', on_gone: 'disable' },
  });
  await mine('POST', '/v1/events', { event: 'dataset.deleted', data: { dataset_id: 'ds_1' } });
  await until(
    () => mine('GET', `/v1/webhooks/${id}`),
    ({ active }) => !active,
  );
  const { page } = await openDashboard(browser, service, `/webhooks/${id}`, { key });
  await page.getByText('the receiver responded 410 Gone').waitFor();
  await page.getByText('disabled', { exact: true }).waitFor();
  expect(await findBarriers(page)).toEqual([]);
});

test('a pause has an end and a reason; held deliveries are sent at the chosen rate', async () => {
  const { key, mine } = await newAccount();
  const { webhook_id: id } = await newWebhook(mine);
  const { page } = await openDashboard(browser, service, `/webhooks/${id}`, { key });
  await page.getByRole('button', { name: 'Pause' }).click();
  const pause = page.getByRole('alertdialog', { name: 'Pause this webhook?' });
  const until = pause.getByLabel('Until (local time)');
  await until.fill('2020-01-01T12:00');
  await pause.getByLabel('Reason (optional)').fill('Maintenance <b>tonight</b>');
  expect(await findBarriers(page)).toEqual([]);
  await pause.getByRole('button', { name: 'Pause' }).click();
  await pause.getByText(/must be in the future/).waitFor();
  const end = new Date(Date.now() + 3 * 3_600_000).toISOString().slice(0, 16);
  await until.fill(end);
  await pause.getByRole('button', { name: 'Pause' }).click();
  await pause.waitFor({ state: 'detached' });
  await page.getByText(/^Paused until /).waitFor();
  await page.getByText('Reason: Maintenance <b>tonight</b>.').waitFor();
  const paused = await mine('GET', `/v1/webhooks/${id}`);
  expect(paused).toMatchObject({ active: false, paused: { reason: 'Maintenance <b>tonight</b>' } });
  expect(paused.paused?.until?.slice(0, 16)).toBe(end);
  await page.goto('/webhooks');
  await page
    .getByRole('row')
    .filter({ hasText: '/policy' })
    .getByText(/^until /)
    .waitFor();

  await mine('POST', '/v1/events', { event: 'dataset.deleted', data: { dataset_id: 'ds_1' } });
  await page.goto(`/webhooks/${id}`);
  await page.getByRole('button', { name: 'Activate' }).click();
  const activate = page.getByRole('dialog', { name: 'Activate this webhook' });
  await activate.getByText('One delivery is held.').waitFor();
  const rate = activate.getByLabel('Attempts a second, at most (optional)');
  await rate.fill('1001');
  await activate.getByRole('button', { name: 'Activate' }).click();
  await untilRefused(rate, /must be 1,000 or less/);
  await rate.fill('5');
  expect(await findBarriers(page)).toEqual([]);
  await activate.getByRole('button', { name: 'Activate' }).click();
  await activate.waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Pause' }).waitFor();
  const { rows } = await service.pool.query<{ action: string }>(
    `select action from audit_records where target = $1 and action = any($2) order by id`,
    [id, ['webhook.paused', 'webhook.resumed']],
  );
  expect(rows.map(({ action }) => action)).toEqual(['webhook.paused', 'webhook.resumed']);
});
