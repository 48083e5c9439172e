import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { launchBrowser } from '../kit/browser.ts';
import { headerOf, startMailServer } from '../kit/mail-server.ts';
import { heading, openDashboard, untilRefused } from '../kit/open-dashboard.ts';
import { call, startService, stopAll, until, type Service } from '../kit/service.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';

vi.setConfig({ testTimeout: 120_000 });

const publicUrl = 'https://webhooks.example.com';
let service: Service;
let receiver: Receiver;
let browser: Browser;
let mailServer: Awaited<ReturnType<typeof startMailServer>>;
beforeAll(async () => {
  [mailServer, receiver, browser] = await Promise.all([
    startMailServer(),
    startReceiver(({ path }, response) => void response.writeHead(path === '/broken' ? 404 : 200).end('ok')),
    launchBrowser(),
  ]);
  service = await startService({
    FLTR_SMTP_URL: `smtp://127.0.0.1:${mailServer.port}`,
    FLTR_SMTP_FROM: 'alerts@fltr.example',
    FLTR_PUBLIC_URL: publicUrl,
  });
});
afterAll(() => stopAll(browser, service, receiver, mailServer));

// Toasts have the role of a dialog, too.
const dialogOf = (page: Page) => page.locator('.dialog');
const cardOf = (page: Page, name: string) =>
  page
    .getByRole('main')
    .getByRole('listitem')
    .filter({ has: page.getByRole('heading', { name, exact: true }) });

test.each([
  { colorScheme: 'light', width: 1280, height: 800 },
  { colorScheme: 'dark', width: 360, height: 740 },
] as const)(
  'Slack, $width wide: create an alert, test it, get a real one, pause, edit, delete',
  async (window) => {
    const { accountId, key } = await service.newAccount();
    const { page } = await openDashboard(browser, service, '/alerts', { ...window, key });
    await heading(page, 'Alerts').waitFor();
    await page.getByText('No alerts yet').waitFor();
    await page.getByRole('button', { name: 'Create alert' }).click();
    const dialog = dialogOf(page);
    await dialog.getByLabel('A delivery fails').check();
    await dialog.getByRole('button', { name: 'Create' }).click();
    // Without a URL, the fault is at its field.
    await untilRefused(dialog.getByLabel('Slack webhook URL'), /empty/);
    await dialog.getByLabel('Slack webhook URL').fill(`${receiver.url}/slack`);
    await dialog.getByLabel('Name').fill('On call');
    await dialog.getByRole('button', { name: 'Create' }).click();
    await dialog.waitFor({ state: 'detached' });
    const card = cardOf(page, 'On call');
    await card.getByText('disabled, down or recovered, failing, old secret, failed delivery').waitFor();
    await card.getByText('Never').waitFor();

    const before = receiver.requests.length;
    await card.getByRole('button', { name: 'Send test alert' }).click();
    await dialog.getByRole('button', { name: 'Send', exact: true }).click();
    await dialog.getByText('delivered', { exact: true }).waitFor();
    expect(receiver.requests[before]?.body.toString()).toContain('*webhook.disabled*');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });

    // A real one.
    const post = (path: string, body: unknown) => call(service.apiUrl, key, 'POST', path, body);
    await post('/v1/webhooks', { url: `${receiver.url}/broken`, events: ['*'] });
    const data = { document_id: 'doc_1', dataset_id: 'ds_1' };
    await post('/v1/events', { event: 'document.deleted', data });
    await card.getByRole('link', { name: /ago|now/ }).waitFor({ timeout: 60_000 });
    await until(
      () => receiver.requests.some(({ body }) => body.toString().includes('*delivery.failed*')),
      (isThere) => isThere,
    );

    await card.getByRole('button', { name: 'Pause' }).click();
    await card.getByText('paused').first().waitFor();
    await card.getByRole('button', { name: 'Activate' }).click();
    await card.getByRole('button', { name: 'Pause' }).waitFor();

    await card.getByRole('button', { name: 'Edit' }).click();
    await dialog.getByLabel('A delivery fails').uncheck();
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'detached' });
    await card.getByText('disabled, down or recovered, failing, old secret', { exact: true }).waitFor();
    const { rows } = await service.pool.query<{ events: string[]; format: string }>(
      `select events, format from webhooks where account_id = $1 and format = 'slack'`,
      [accountId],
    );
    expect(rows[0]?.events.toSorted()).toEqual(
      [
        'webhook.disabled',
        'webhook.down',
        'webhook.recovered',
        'webhook.secret_due',
        'webhook.warning',
      ].toSorted(),
    );

    // By keyboard: on a narrow screen the toast covers the button.
    await card.getByRole('button', { name: 'Delete' }).press('Enter');
    await dialog.getByRole('button', { name: 'Delete' }).click();
    await page.getByText('No alerts yet').waitFor();
  },
);

test('e-mail: faults are shown at the field, a test alert arrives, and the log shows the sent e-mail', async () => {
  const { key } = await service.newAccount();
  const { page } = await openDashboard(browser, service, '/alerts', { key });
  await page.getByRole('button', { name: 'Create alert' }).click();
  const dialog = dialogOf(page);
  await dialog.getByRole('radio', { name: /^E-mail/ }).check();
  const addresses = dialog.getByLabel('E-mail addresses');
  await addresses.fill('ops@ok.example; nobody');
  await dialog.getByRole('button', { name: 'Create' }).click();
  await untilRefused(addresses, /1 to 5 different e-mail addresses/);
  await addresses.fill('ops@ok.example; dev@ok.example');
  await dialog.getByRole('button', { name: 'Create' }).click();
  await dialog.waitFor({ state: 'detached' });
  const name = 'E-mail: ops@ok.example, dev@ok.example';
  const card = cardOf(page, name);
  await card.getByRole('button', { name: 'Send test alert' }).click();
  await dialog.getByLabel('Event').selectOption('webhook.down');
  await dialog.getByRole('button', { name: 'Send', exact: true }).click();
  await dialog.getByText('delivered', { exact: true }).waitFor();
  const [mail] = mailServer.mails;
  expect(mail && headerOf(mail, 'Subject')).toBe('[Test] Webhook down: wh_01k');
  expect(mail?.to).toEqual(['ops@ok.example', 'dev@ok.example']);
  await page.keyboard.press('Escape');

  // Its page has no secret: an e-mail is not signed.
  await card.getByRole('link', { name }).click();
  await heading(page, 'Configuration', 2).waitFor();
  expect(await page.getByRole('heading', { name: 'Secret' }).count()).toBe(0);
  await page.goto('/webhooks');
  await page.getByRole('main').getByRole('link', { name: 'Alert', exact: true }).waitFor();
});

test('the log shows an e-mail as it was sent, with its links', async () => {
  const { key } = await service.newAccount();
  const as = <T>(method: string, path: string, body?: unknown) =>
    call<T>(service.apiUrl, key, method, path, body);
  await as('POST', '/v1/webhooks', { url: 'mailto:links@ok.example', events: ['delivery.failed'] });
  await as('POST', '/v1/webhooks', { url: `${receiver.url}/broken`, events: ['*'] });
  const { body } = await as<{ deliveries: { id: string }[] }>('POST', '/v1/events', {
    event: 'dataset.deleted',
    data: { dataset_id: 'ds_xyz789' },
  });
  const sent = await until(
    async () =>
      (await as<{ data: { id: string; status: string }[] }>('GET', '/v1/deliveries?event=delivery.failed'))
        .body.data[0],
    (delivery) => delivery?.status === 'delivered',
  );
  const link = `${publicUrl}/log/${body.deliveries[0]?.id}`;
  const mail = mailServer.mails.find(({ to }) => to.includes('links@ok.example'));
  expect(mail?.source.replaceAll('=\r\n', '')).toContain(link);
  const { page } = await openDashboard(browser, service, `/log/${sent?.id}`, { key });
  const region = page.getByRole('region', { name: 'E-mail of attempt 1' });
  const shown = region.getByRole('region', { name: 'Request body of attempt 1' });
  const text = await until(
    async () => (await shown.textContent()) ?? '',
    (now) => now.includes(link),
  );
  await region.getByText(`Request body, ${Buffer.byteLength(text)} bytes`, { exact: true }).waitFor();
});

test('a read-only key sees alerts and changes none', async () => {
  const { accountId, key } = await service.newAccount();
  const alert = { url: receiver.url, format: 'slack', events: ['webhook.*'], description: 'On call' };
  await call(service.apiUrl, key, 'POST', '/v1/webhooks', alert);
  const readOnly = await service.newKey({ accountId, scopes: ['webhooks:read'] });
  const { page } = await openDashboard(browser, service, '/alerts', { key: readOnly });
  const card = cardOf(page, 'On call');
  await card.waitFor();
  for (const name of ['Send test alert', 'Edit', 'Pause', 'Delete'])
    expect(await card.getByRole('button', { name }).isDisabled()).toBe(true);
  expect(await page.getByRole('button', { name: 'Create alert' }).isDisabled()).toBe(true);
});
