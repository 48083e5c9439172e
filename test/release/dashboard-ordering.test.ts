import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import type { Webhook } from '../../src/contracts/webhook.ts';
import { findBarriers, launchBrowser } from '../kit/browser.ts';
import { waitForStatus } from '../kit/delivery-steps.ts';
import { heading, openDashboard, untilCount, untilFocused } from '../kit/open-dashboard.ts';
import { firstAttempts, ofKey, publishKeyed, startOrderedReceiver } from '../kit/ordered.ts';
import { openAccount } from '../kit/recoveries.ts';
import { startService, stopAll, type Service } from '../kit/service.ts';

vi.setConfig({ testTimeout: 120_000 });

let service: Service;
let browser: Browser;
beforeAll(async () => {
  [service, browser] = await Promise.all([startService(), launchBrowser()]);
});
afterAll(() => stopAll(browser, service));

/** The service, as an account of its own sees it. */
async function openMine(): Promise<Service> {
  const { accountId, key, call } = await openAccount(service);
  return { ...service, accountId, key, call };
}

/** A receiver that refuses the first event of each key, until it is repaired. */
async function receiveRefusing() {
  let isRefusing = true;
  const receiver = await startOrderedReceiver(
    ({ number }, response) => void response.writeHead(isRefusing && number === 1 ? 400 : 200).end(),
  );
  onTestFinished(() => receiver.close());
  return Object.assign(receiver, { repair: () => (isRefusing = false) });
}

const isTooWide = (page: Page): Promise<boolean> =>
  page.evaluate('document.scrollingElement.scrollWidth > document.scrollingElement.clientWidth');
const blocked = (page: Page) => page.getByRole('region', { name: 'Blocked in order' });
const summary = (page: Page) => page.getByRole('region', { name: 'Summary' });

test.each([
  { colorScheme: 'light', width: 1280, height: 800 },
  { colorScheme: 'dark', width: 360, height: 740 },
] as const)(
  'order is set in the form; its page shows the blocking delivery, and canceling it lets the next one begin ($colorScheme, $width wide)',
  async (window) => {
    const mine = await openMine();
    const receiver = await receiveRefusing();
    const { page } = await openDashboard(browser, mine, '/webhooks/new', window);
    const expectFine = async (): Promise<void> =>
      expect([await findBarriers(page), await isTooWide(page)]).toEqual([[], false]);
    await page.getByLabel('URL', { exact: true }).fill(`${receiver.url}/ordered`);
    await page.getByRole('checkbox', { name: '*', exact: true }).check();
    await page.locator('summary').filter({ hasText: 'Policy' }).click();
    const block = page.getByRole('checkbox', { name: /^A failed delivery blocks those behind it/ });
    expect(await block.count()).toBe(0);
    await page.getByLabel('Deliveries are sent').selectOption('by_key');
    await block.check();
    await expectFine();
    await page.getByRole('button', { name: 'Create' }).click();
    await heading(page, /\/ordered$/).waitFor();
    const { body } = await mine.call<{ data: Webhook[] }>('GET', '/v1/webhooks');
    expect(body.data).toMatchObject([{ ordering: 'by_key', on_failure: 'block' }]);
    const facts = page.getByRole('region', { name: 'Configuration' });
    await facts.getByText('In order, by order key').waitFor();
    await facts.getByText('a failed delivery blocks those behind it').waitFor();
    expect(await blocked(page).count()).toBe(0);

    // It appears by itself.
    const [first = '', second = '', third = ''] = await publishKeyed(mine, ofKey('order-7', 3));
    const row = blocked(page).getByRole('row').filter({ hasText: 'order-7' });
    await row.getByRole('link', { name: '2 waiting' }).waitFor();
    await expectFine();
    await row.getByRole('link', { name: '2 waiting' }).press('Enter');
    await page.getByRole('link', { name: 'Remove filter Only: waiting in their order' }).waitFor();
    await page.getByRole('link', { name: 'Remove filter Order key: order-7' }).waitFor();
    await untilCount(page.getByRole('row').filter({ hasText: 'document.deleted' }), 2);
    await expectFine();

    await page.goto(`/log/${second}`);
    await summary(page).getByText('Waits for another delivery').waitFor();
    const retry = page.getByRole('button', { name: 'Retry now' });
    expect([await retry.isDisabled(), await retry.getAttribute('title')]).toEqual([
      true,
      'It waits in its order. Retry or cancel the delivery before it.',
    ]);
    await expectFine();
    await summary(page).getByRole('link', { name: 'View the delivery before it' }).press('Enter');
    await page.waitForURL(`**/log/${first}`);
    await summary(page).getByText('It has held up those behind it in its order since').waitFor();
    await summary(page).getByRole('link', { name: '2 waiting' }).waitFor();
    await page.getByRole('region', { name: 'Details' }).getByText('order-7').waitFor();
    await expectFine();

    await page.getByRole('button', { name: 'Cancel' }).press('Enter');
    const dialog = page.getByRole('alertdialog', { name: 'Cancel this delivery?' });
    await dialog.getByText('Those behind it in its order begin then.').waitFor();
    await expectFine();
    await untilFocused(dialog.getByRole('button', { name: 'Back' }));
    await page.keyboard.press('Tab');
    await untilFocused(dialog.getByRole('button', { name: 'Cancel the delivery' }));
    await page.keyboard.press('Enter');
    await summary(page).getByText('It was canceled by a user.').waitFor();
    await waitForStatus(mine, third, 'delivered', 1);
    expect(firstAttempts(receiver, 'order-7')).toEqual([1, 2, 3]);
    await page.goto(`/log/${second}`);
    await summary(page).getByText('Delivered').waitFor();
    await page.goto(`/webhooks/${body.data[0]?.webhook_id}`);
    await page.getByRole('region', { name: 'Latest deliveries' }).getByText('canceled').waitFor();
    expect(await blocked(page).count()).toBe(0);
  },
);

test('a blocking delivery is retried or canceled on the page of its webhook; the list of webhooks and the log find it', async () => {
  const mine = await openMine();
  const receiver = await receiveRefusing();
  const { body } = await mine.call<{ webhook_id: string }>('POST', '/v1/webhooks', {
    url: receiver.url,
    events: ['*'],
    ordering: 'by_key',
    on_failure: 'block',
  });
  const [a1 = '', a2 = '', b1 = '', b2 = ''] = await publishKeyed(mine, [...ofKey('a', 2), ...ofKey('b', 2)]);
  for (const id of [a1, b1]) await waitForStatus(mine, id, 'failed', 1);
  const { page } = await openDashboard(browser, mine, '/webhooks');
  await page.getByRole('link', { name: '2 deliveries block others' }).press('Enter');
  await page.getByRole('link', { name: 'Remove filter Only: blocking their order' }).waitFor();
  await untilCount(page.getByRole('row').filter({ hasText: 'document.deleted' }), 2);
  // Failed, and can be canceled all the same.
  await page.getByRole('checkbox', { name: 'Select all loaded deliveries' }).check();
  const bar = page.getByRole('region', { name: 'Selected deliveries' });
  await bar.getByRole('button', { name: 'Cancel', exact: true }).click();
  await page.getByText('2 deliveries will be canceled.').waitFor();
  await page.getByRole('button', { name: 'Back' }).click();

  await page.goto(`/webhooks/${body.webhook_id}`);
  const row = (key: string) =>
    blocked(page)
      .getByRole('row')
      .filter({ has: page.getByRole('rowheader', { name: key, exact: true }) });
  await row('b').getByRole('button', { name: 'Cancel' }).click();
  await page
    .getByRole('alertdialog', { name: 'Cancel this delivery?' })
    .getByRole('button', { name: 'Cancel the delivery' })
    .click();
  await row('b').waitFor({ state: 'detached' });
  await waitForStatus(mine, b2, 'delivered', 1);
  receiver.repair();
  await row('a').getByRole('button', { name: 'Retry now' }).click();
  await blocked(page).waitFor({ state: 'detached' });
  await waitForStatus(mine, a1, 'delivered', 2);
  await waitForStatus(mine, a2, 'delivered', 1);
  expect(receiver.overlaps).toEqual([]);
});
