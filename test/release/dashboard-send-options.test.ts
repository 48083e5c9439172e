import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { EventSummary } from '../../src/contracts/event.ts';
import { findBarriers, launchBrowser } from '../kit/browser.ts';
import { heading, openDashboard } from '../kit/open-dashboard.ts';
import { call, startService, stopAll, type Service } from '../kit/service.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';

vi.setConfig({ testTimeout: 120_000 });

const isTooWide = 'document.scrollingElement.scrollWidth > document.scrollingElement.clientWidth';

let service: Service;
let receiver: Receiver;
let browser: Browser;
beforeAll(async () => {
  [service, receiver, browser] = await Promise.all([startService(), startReceiver(), launchBrowser()]);
});
afterAll(() => stopAll(browser, service, receiver));

test.each([
  { colorScheme: 'light', width: 1280, height: 800 },
  { colorScheme: 'dark', width: 360, height: 740 },
] as const)(
  'an event is sent for one webhook at a time, and its delivery is shown as scheduled until it is sent now ($colorScheme, $width wide)',
  async (window) => {
    const { key } = await service.newAccount();
    const mine = async <T>(method: string, path: string, body?: unknown): Promise<T> =>
      (await call<T>(service.apiUrl, key, method, path, body)).body;
    const newWebhook = (path: string) =>
      mine<{ webhook_id: string }>('POST', '/v1/webhooks', {
        url: `${receiver.url}${path}`,
        events: ['*'],
        ordering: 'by_key',
      });
    const [chosen] = [await newWebhook('/chosen'), await newWebhook('/other')];

    const { page } = await openDashboard(browser, service, '/events/send?event=document.deleted', {
      ...window,
      key,
    });
    await page.getByText('Will be sent to 2 webhooks.').waitFor();
    await page.getByText('Options', { exact: false }).first().click();
    const tomorrow = new Date(Date.now() + 86_400_000);
    // The browser is in UTC.
    const local = (hoursLater = 0) =>
      new Date(tomorrow.getTime() + hoursLater * 3_600_000).toISOString().slice(0, 16);
    await page.getByLabel(/^Deliver at/).fill(local());
    // Refused by the service, and shown at its field.
    await page.getByLabel(/^Expires at/).fill(local());
    await page.getByLabel('Order key').fill('order-42');
    await page.getByLabel(chosen.webhook_id).check();
    expect(await findBarriers(page)).toEqual([]);
    expect(await page.evaluate<boolean>(isTooWide)).toBe(false);
    await page.getByRole('button', { name: 'Send event' }).click();
    await page.getByText('It must be after deliver_at.').waitFor();
    await page.getByLabel(/^Expires at/).fill(local(1));
    await page.getByRole('button', { name: 'Send event' }).click();
    await page.getByRole('status').getByText('Accepted:').waitFor();

    const { data } = await mine<{ data: EventSummary[] }>('GET', '/v1/events');
    expect(data).toMatchObject([{ webhook_ids: [chosen.webhook_id], order_key: 'order-42' }]);
    const [event] = data;
    expect(event?.deliver_at?.slice(0, 16)).toBe(local());
    expect(event?.expires_at?.slice(0, 16)).toBe(local(1));
    await page.goto(`/events/${event?.id}`);
    await page.getByRole('region', { name: 'Details' }).getByText('order-42').waitFor();
    await page.getByText('Not sent to 1 webhook, and why').click();
    await page.getByText('Published for other webhooks alone.').waitFor();

    await page.goto(`/log/${event?.deliveries[0]?.id}`);
    await page
      .getByRole('region', { name: 'Summary' })
      .getByText('Scheduled for its first attempt.')
      .waitFor();
    await page.getByRole('region', { name: 'Timeline' }).getByText('Scheduled for').waitFor();
    const details = page.getByRole('region', { name: 'Details' });
    await details.getByText('order-42').waitFor();
    expect(await details.getByRole('term').allInnerTexts()).toEqual(
      expect.arrayContaining(['Order key', 'Expires']),
    );
    expect(await findBarriers(page)).toEqual([]);
    await page.getByRole('button', { name: 'Retry now' }).click();
    await page.getByRole('region', { name: 'Summary' }).getByText('Delivered').waitFor();
    await page.goto('/webhooks');
    await heading(page, 'Webhooks').waitFor();
  },
);
