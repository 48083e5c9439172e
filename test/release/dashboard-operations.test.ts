import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Operation } from '../../src/contracts/operation.ts';
import { findBarriers, launchBrowser } from '../kit/browser.ts';
import { heading, openDashboard, untilFocused } from '../kit/open-dashboard.ts';
import { openAccount, waitForDeliveries } from '../kit/recoveries.ts';
import { startService, stopAll, until, type Service } from '../kit/service.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';

vi.setConfig({ testTimeout: 120_000 });

let service: Service;
let receiver: Receiver;
let browser: Browser;
const broken = new Map<string, number>();
beforeAll(async () => {
  [service, receiver, browser] = await Promise.all([
    startService({ FLTR_AUTO_DISABLE_EVERY_SECONDS: '86400' }),
    startReceiver(({ path }, response) => response.writeHead(broken.get(path) ?? 200).end('seen')),
    launchBrowser(),
  ]);
});
afterAll(() => stopAll(browser, service, receiver));

test.each([
  { colorScheme: 'light', width: 1280, height: 800 },
  { colorScheme: 'dark', width: 360, height: 740 },
] as const)(
  'an operation is followed, paused, resumed and canceled by keyboard; its outcome leads to the log ($colorScheme)',
  async (window) => {
    const path = `/operations-${window.width}`;
    broken.set(path, 404);
    const account = await openAccount(service);
    await account.newWebhook(receiver.url + path);
    await account.publish(12);
    await waitForDeliveries(service, account.accountId, 'failed', 12);
    const start = async (perSecond: number) => {
      const { body } = await account.call<Operation>('POST', '/v1/deliveries/actions', {
        action: 'retry',
        filter: { since: '2020-01-01T00:00:00Z', status: 'failed' },
        per_second: perSecond,
      });
      return body.id;
    };
    const { page } = await openDashboard(browser, service, '/operations', { key: account.key, ...window });
    await heading(page, 'Operations').waitFor();
    await page.getByText('No operations yet').waitFor();
    broken.delete(path);

    const id = await start(1);
    const row = page.getByRole('row').filter({ hasText: 'failed deliveries' });
    const link = row.getByRole('link', { name: 'Retry' });
    await link.focus();
    await page.keyboard.press('Enter');
    await heading(page, 'Retry').waitFor();
    expect(new URL(page.url()).pathname).toBe(`/operations/${id}`);
    const pause = page.getByRole('button', { name: 'Pause' });
    await pause.focus();
    await page.keyboard.press('Enter');
    const main = page.getByRole('main');
    await main.getByText('paused', { exact: true }).waitFor();
    expect(await findBarriers(page)).toEqual([]);
    expect(await page.evaluate<number>('document.scrollingElement.scrollWidth')).toBeLessThanOrEqual(
      window.width,
    );
    await page.getByRole('button', { name: 'Resume' }).click();
    await main.getByText('running', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Cancel the rest' }).click();
    await main.getByText('canceled', { exact: true }).first().waitFor();
    const canceled = await until(
      async () => (await account.call<Operation>('GET', `/v1/operations/${id}`)).body,
      ({ ended_at: endedAt }) => endedAt !== null,
    );
    expect(canceled.status).toBe('canceled');
    expect(canceled.done).toBeLessThan(12);

    const rest = 12 - canceled.done;
    const second = await start(1000);
    await page.goto(`/operations/${second}`);
    await main.getByText(`${rest} of ${rest} retried`).waitFor();
    const outcome = main.getByRole('link', { name: `${rest} delivered` });
    await outcome.focus();
    await untilFocused(outcome);
    await page.keyboard.press('Enter');
    await heading(page, 'Delivery log').waitFor();
    const search = new URL(page.url()).searchParams;
    expect([search.get('operation_id'), search.get('status')]).toEqual([second, 'delivered']);
    await until(
      () => page.getByRole('row').filter({ hasText: 'document.deleted' }).count(),
      (count) => count === rest,
    );
  },
);

test('an operation that does not exist, or is of another account, is not found', async () => {
  const [mine, other] = [await openAccount(service), await openAccount(service)];
  await mine.newWebhook(`${receiver.url}/mine`);
  const [id = ''] = await mine.publish(1);
  await waitForDeliveries(service, mine.accountId, 'delivered', 1);
  const { body } = await mine.call<Operation>('POST', '/v1/deliveries/actions', {
    action: 'resend',
    filter: { ids: [id] },
  });
  const { page } = await openDashboard(browser, service, '/operations', { key: other.key });
  await page.goto(`/operations/${body.id}`);
  await page.getByText('Operation not found').waitFor();
  await page.getByRole('link', { name: 'All operations' }).click();
  await page.getByText('No operations yet').waitFor();
});
