import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { findBarriers, launchBrowser } from '../kit/browser.ts';
import { openDashboard, untilCount, untilFocused } from '../kit/open-dashboard.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { startService, stopAll, until, type Service } from '../kit/service.ts';

vi.setConfig({ testTimeout: 120_000 });

let service: Service;
let receiver: Receiver;
let browser: Browser;
/** Paths whose receiver is out of order, and the status of its responses. */
const broken = new Map<string, number>();
beforeAll(async () => {
  [service, receiver, browser] = await Promise.all([
    startService(),
    startReceiver(({ path }, response) => response.writeHead(broken.get(path) ?? 200).end('seen')),
    launchBrowser(),
  ]);
});
afterAll(() => stopAll(browser, service, receiver));

const newWebhook = (path: string) => service.newWebhook(receiver.url + path, { events: ['document.*'] });

test('the undelivered deliveries of an event are retried together, as an operation, by keyboard', async () => {
  for (const path of ['/down-1', '/down-2', '/refused']) broken.set(path, path === '/refused' ? 404 : 503);
  await newWebhook('/up');
  await newWebhook('/down-1');
  await newWebhook('/refused');
  const { webhook_id: paused } = await newWebhook('/down-2');
  const { id: eventId } = await service.publish();
  const states = async () =>
    (
      await service.call<{ deliveries: { webhook_id: string; status: string }[] }>(
        'GET',
        `/v1/events/${eventId}`,
      )
    ).body.deliveries
      .map(({ status }) => status)
      .toSorted();
  await until(states, (now) => now.join() === 'delivered,failed,retrying,retrying');
  await service.call('PATCH', `/v1/webhooks/${paused}`, { active: false });
  for (const path of ['/down-1', '/refused']) broken.delete(path);

  const { page } = await openDashboard(browser, service, `/events/${eventId}`, {
    width: 360,
    colorScheme: 'dark',
  });
  const deliveries = page.getByRole('region', { name: 'Deliveries' });
  await deliveries.getByText('held', { exact: true }).waitFor();
  const button = deliveries.getByRole('button', { name: 'Retry undelivered' });
  await button.focus();
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog', { name: 'Retry deliveries' });
  // Of a paused webhook nothing is retried.
  await dialog.getByText('1 delivery of the selection cannot be changed in this way.').waitFor();
  expect(await findBarriers(page)).toEqual([]);
  await dialog.getByRole('button', { name: 'Retry 2 deliveries' }).focus();
  await page.keyboard.press('Enter');
  await dialog.getByRole('link', { name: 'View operation' }).waitFor();
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  // Nothing is left to retry, but the focus stays at the button, which says why.
  await untilFocused(button);
  await until(states, (now) => now.join() === 'delivered,delivered,delivered,held');
  expect(receiver.requests.filter(({ path }) => path === '/up')).toHaveLength(1);
  await untilCount(deliveries.getByText('delivered', { exact: true }), 3);
  expect([await button.isDisabled(), await button.getAttribute('title')]).toEqual([
    true,
    'It is held. Activate its webhook to deliver it.',
  ]);
  await untilFocused(button);
  await page.keyboard.press('Enter');
  await button.click({ force: true });
  expect(await dialog.isVisible()).toBe(false);
  expect(await findBarriers(page)).toEqual([]);
  const { body } = await service.call<{ data: { action: string; total: number }[] }>('GET', '/v1/operations');
  expect(body.data).toMatchObject([{ action: 'retry', total: 2 }]);
});

test('an event is expunged from its page and from that of a delivery', async () => {
  await newWebhook('/up');
  const data = { document_id: 'doc_to_expunge', dataset_id: 'ds_1' };
  const first = await service.publish({ data });
  const { page } = await openDashboard(browser, service, `/events/${first.id}`);
  await page.getByText('doc_to_expunge').first().waitFor();
  await page.getByRole('button', { name: 'Expunge event' }).click();
  const dialog = page.getByRole('alertdialog', { name: 'Expunge this event?' });
  await dialog.getByText('Waiting deliveries are canceled.').waitFor();
  expect(await findBarriers(page)).toEqual([]);
  await dialog.getByRole('button', { name: 'Back' }).click();
  await page.getByText('doc_to_expunge').first().waitFor();
  await page.getByRole('button', { name: 'Expunge event' }).click();
  await dialog.getByRole('button', { name: 'Expunge permanently' }).click();
  await dialog.waitFor({ state: 'detached' });
  await page.getByText('The payload was removed: the event was expunged.').waitFor();
  await untilCount(page.getByText('doc_to_expunge'), 0);
  await untilCount(page.getByRole('button', { name: 'Expunge event' }), 0);

  const second = await service.publish({ data });
  await page.goto(`/log/${second.deliveries[0]?.id}`);
  await page.getByRole('button', { name: 'Expunge event' }).click();
  await dialog.getByRole('button', { name: 'Expunge permanently' }).click();
  await dialog.waitFor({ state: 'detached' });
  await untilCount(page.getByRole('button', { name: 'Expunge event' }), 0);
  const { body } = await service.call<{ body: string | null }>('GET', `/v1/events/${second.id}`);
  expect(body.body).toBeNull();

  await page.goto('/audit');
  await page
    .getByText(/expunged the event/)
    .first()
    .waitFor();
  await page.getByRole('link', { name: second.id }).click();
  await page.getByText('The payload was removed: the event was expunged.').waitFor();
});
