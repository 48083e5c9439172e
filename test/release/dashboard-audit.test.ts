import { readFileSync } from 'node:fs';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { findBarriers, launchBrowser } from '../kit/browser.ts';
import { heading, openDashboard, untilCount } from '../kit/open-dashboard.ts';
import { call, startService, stopAll, until, type Service } from '../kit/service.ts';

vi.setConfig({ testTimeout: 120_000 });

let service: Service;
let browser: Browser;
beforeAll(async () => {
  [service, browser] = await Promise.all([startService({}, 'api'), launchBrowser()]);
});
afterAll(() => stopAll(browser, service));

test.each([
  { colorScheme: 'light', width: 1280, height: 800 },
  { colorScheme: 'dark', width: 360, height: 740 },
] as const)(
  'the audit log shows each action and its key, is filtered by keyboard, and leads to the webhook ($colorScheme)',
  async (window) => {
    const { key } = await service.newAccount();
    const as = <T>(method: string, path: string, body?: unknown) =>
      call<T>(service.apiUrl, key, method, path, body);
    const { page } = await openDashboard(browser, service, '/audit', { key, ...window });
    await heading(page, 'Audit log').waitFor();
    await page.getByText('No records yet').waitFor();
    const { body } = await as<{ webhook_id: string }>('POST', '/v1/webhooks', {
      url: 'https://example.com/first/in',
      events: ['*'],
    });
    await as('PATCH', `/v1/webhooks/${body.webhook_id}`, { description: 'mine' });
    await as('GET', `/v1/webhooks/${body.webhook_id}/secret`);
    await as('POST', '/v1/keys', { name: 'Producer', scopes: ['events:write'] });

    // New records come by themselves.
    const rows = page.locator('tbody tr');
    await untilCount(rows, 4);
    const texts = [
      'Key “test” created the API key “Producer”',
      'Key “test” revealed the secret of the webhook example.com/…/in',
      'Key “test” changed the webhook example.com/…/in: description',
      'Key “test” created the webhook example.com/…/in',
    ];
    for (const [index, text] of texts.entries()) await rows.nth(index).getByText(text).waitFor();
    expect(await findBarriers(page)).toEqual([]);
    const cutOff = await page.evaluate<number>(
      `Math.max(...[...document.querySelectorAll('.audit-text')].map((e) => e.scrollHeight - e.clientHeight))`,
    );
    expect(cutOff).toBeLessThan(2);

    await page.getByLabel('Change', { exact: true }).focus();
    await page.keyboard.type('Secrets revealed');
    await untilCount(rows, 1);
    expect(new URL(page.url()).search).toBe('?action=webhook.secret_read');
    await page.reload();
    await untilCount(rows, 1);
    await page.goBack();
    await untilCount(rows, 4);
    await page.getByLabel('Webhook', { exact: true }).selectOption(body.webhook_id);
    await untilCount(rows, 3);
    await page.getByLabel('Time', { exact: true }).selectOption('Last hour');
    await page.getByLabel('Key', { exact: true }).selectOption('Producer');
    await page.getByText('No records match these filters').waitFor();
    expect(await findBarriers(page)).toEqual([]);
    await page.getByRole('link', { name: 'Clear filters' }).click();
    await untilCount(rows, 4);

    const [file] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Export NDJSON' }).click(),
    ]);
    const lines = readFileSync(await file.path(), 'utf8')
      .trim()
      .split('\n');
    expect([
      file.suggestedFilename(),
      lines.map((line) => (JSON.parse(line) as { action: string }).action),
    ]).toEqual([
      'audit-log.ndjson',
      ['key.created', 'webhook.secret_read', 'webhook.updated', 'webhook.created'],
    ]);
    await rows.nth(3).getByRole('link').focus();
    await page.keyboard.press('Enter');
    await heading(page, /first\/in$/).waitFor();

    // From a webhook's page to its own records, and no other's.
    await as('POST', '/v1/webhooks', { url: 'https://example.com/second/in', events: ['*'] });
    await page.getByRole('link', { name: 'Who changed it' }).focus();
    expect(await findBarriers(page)).toEqual([]);
    await page.keyboard.press('Enter');
    await page.waitForURL(`**/audit?target=${body.webhook_id}`);
    await untilCount(rows, 3);
    await untilCount(rows.filter({ hasText: 'example.com/…/in' }), 3);
    const chosen = page.getByLabel('Webhook', { exact: true });
    await until(
      () => chosen.inputValue(),
      (value) => value === body.webhook_id,
    );
  },
);
