import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import { packageRoot } from '../../src/package-root.ts';
import { findBarriers, launchBrowser } from '../kit/browser.ts';
import {
  heading,
  openDashboard,
  readClipboard,
  untilFocused,
  untilLoaded,
  untilRefused,
} from '../kit/open-dashboard.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, stopAll, until, type Service } from '../kit/service.ts';

vi.setConfig({ testTimeout: 300_000 });

let service: Service;
let receiver: Receiver;
let browser: Browser;
let project: string;
beforeAll(async () => {
  // The files of the commands stay out of the real folder.
  project = mkdtempSync(join(tmpdir(), 'fltr-first-run-'));
  cpSync(join(packageRoot, 'examples'), join(project, 'examples'), { recursive: true });
  symlinkSync(join(packageRoot, 'node_modules'), join(project, 'node_modules'));
  [service, receiver, browser] = await Promise.all([startService(), startReceiver(), launchBrowser()]);
});
afterAll(async () => {
  await stopAll(browser, service, receiver);
  rmSync(project, { recursive: true, force: true });
});

/** Runs the command that a user pastes into a shell, until the test ends. */
function paste(line: string) {
  const env = { ...process.env, GOFLAGS: '-mod=mod' };
  const shell = spawn('sh', ['-c', line], {
    cwd: project,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const { pid } = shell;
  onTestFinished(async () => {
    // All that it started.
    if (pid !== undefined && shell.exitCode === null) process.kill(-pid, 'SIGKILL');
    if (shell.exitCode === null && shell.signalCode === null) await once(shell, 'close');
  });
  return shell;
}

/** Runs a program to its end. */
async function run(line: string): Promise<string> {
  const shell = paste(line);
  const [output] = await Promise.all([text(shell.stdout), once(shell, 'close')]);
  expect(shell.exitCode, output).toBe(0);
  return output;
}

const step = (page: Page, title: string) => page.getByRole('listitem', { name: title });
const done = (page: Page, title: string) => page.getByRole('listitem', { name: `${title} (done)` });

/** Copies the program in that language. */
async function copy(page: Page, title: string, language: string): Promise<string> {
  const within = step(page, title);
  await within.getByRole('tab', { name: language, exact: true }).click();
  const panel = within.getByRole('tabpanel', { name: language });
  await panel.getByRole('button', { name: 'Copy' }).click();
  await panel.getByRole('button', { name: 'Copied' }).waitFor();
  return readClipboard(page);
}

const openNew = async (more: Parameters<typeof openDashboard>[3] = {}) => {
  const { key, accountId } = await service.newAccount();
  const { page } = await openDashboard(browser, service, '/', { key, ...more });
  await heading(page, 'Webhooks').waitFor();
  return { key, accountId, page };
};

test('from nothing to the first delivery, with the texts of the page alone', async () => {
  const { page } = await openNew();
  await heading(page, 'Get started', 2).waitFor();
  const url = page.getByLabel('Endpoint URL');
  expect(await url.inputValue()).toBe('http://localhost:5000/webhooks/fltr');
  await url.fill('http://example.com/');
  await page.getByRole('button', { name: 'Create webhook' }).click();
  await untilRefused(url, /https|localhost/);
  const port = await reservePort();
  await url.fill(`http://localhost:${port}/webhooks/fltr`);
  await page.getByRole('button', { name: 'Create webhook' }).click();
  await done(page, 'Create a webhook').waitFor();

  // Nothing listens yet: it waits, and is done by itself once something does.
  await page.getByRole('button', { name: 'Send a test event' }).click();
  await step(page, 'Send a test event').getByText('Waiting for your receiver').waitFor();
  await step(page, 'Send a test event').getByText('failed', { exact: true }).waitFor();
  expect(await done(page, 'Run a receiver').count()).toBe(0);
  const example = paste(await copy(page, 'Run a receiver', 'Node'));
  await done(page, 'Send a test event').waitFor();
  await done(page, 'Run a receiver').waitFor();
  await step(page, 'Send a test event').getByText('delivered', { exact: true }).waitFor();
  await page.reload();
  await done(page, 'Send a test event').waitFor();
  expect(await done(page, 'Publish from your code').count()).toBe(0);

  await page.getByText('Waiting for your first event').waitFor();
  expect(await copy(page, 'Publish from your code', 'curl')).toContain('YOUR_API_KEY');
  await page.getByRole('button', { name: 'Create an API key' }).click();
  await page.getByText('Copy the key now').waitFor();
  const output = await run(await copy(page, 'Publish from your code', 'curl'));
  const { id } = JSON.parse(output) as { id: string };
  await heading(page, 'Your first event was delivered', 2).waitFor();
  await done(page, 'Publish from your code').getByText('delivered', { exact: true }).waitFor();

  const published = [id];
  for (const [language, command] of [
    ['TypeScript', 'node program.ts'],
    ['Python', 'python3 program.py'],
  ] as const) {
    const program = await copy(page, 'Publish from your code', language);
    writeFileSync(join(project, command.split(' ')[1] ?? ''), program);
    const printed = await run(command);
    expect(printed).toContain('202');
    published.push(/evt_\w+/.exec(printed)?.[0] ?? '');
  }
  let lines = '';
  example.stdout.on('data', (chunk: Buffer) => (lines += chunk.toString()));
  await until(
    () => lines,
    () => published.every((each) => lines.includes(`${each} processed`)),
  );
  await page.getByRole('link', { name: 'View delivery' }).click();
  await page.waitForURL('**/log/dlv_*');
  // From now on the account has a delivery.
  await page.goto('/webhooks');
  await page
    .getByRole('table')
    .getByRole('link', { name: /webhooks\/fltr$/ })
    .waitFor();
  await untilLoaded(page);
  expect(await page.getByRole('heading', { level: 2, name: /Get started|first event/ }).count()).toBe(0);
});

test.each(['Node', 'Python', 'Go'])(
  'the line for %s, with the secret that is revealed, runs',
  async (language) => {
    const { key, accountId } = await service.newAccount();
    const url = `http://localhost:${await reservePort()}/webhooks/standard`;
    await call(service.apiUrl, key, 'POST', '/v1/webhooks', { url, events: ['document.*'] });
    const { page } = await openDashboard(browser, service, '/webhooks', { key });
    await done(page, 'Create a webhook').waitFor();
    expect(await copy(page, 'Run a receiver', language)).toContain(`WEBHOOK_SECRET='whsec_…'`);
    await page.getByRole('button', { name: 'Reveal secret' }).click();
    await page.getByRole('button', { name: 'Reveal secret' }).waitFor({ state: 'detached' });
    paste(await copy(page, 'Run a receiver', language));
    // It may have to be installed or compiled first, which may take longer than the page waits.
    const send = page.getByRole('button', { name: 'Send a test event' });
    await until(
      async () => {
        if (await done(page, 'Run a receiver').isVisible()) return true;
        if (await send.isVisible()) await send.click();
        return false;
      },
      (isDone) => isDone,
      240_000,
    );
    const { rows } = await service.pool.query(
      `select 1 from audit_records where account_id = $1 and action like '%secret%'`,
      [accountId],
    );
    expect(rows).toHaveLength(1);
  },
);

test('an endpoint that is no example gets the secret alone', async () => {
  const { page } = await openNew();
  await page.getByLabel('Endpoint URL').fill(`${receiver.url}/own`);
  await page.getByRole('button', { name: 'Create webhook' }).click();
  await step(page, 'Run a receiver')
    .getByText(/^whsec_[A-Za-z0-9+/=]{44}$/)
    .waitFor();
  await page.getByRole('button', { name: 'Send a test event' }).click();
  await done(page, 'Run a receiver').waitFor();
  expect(receiver.requests.at(-1)?.headers['x-fltr-test']).toBe('true');
});

test('it can be stopped and dismissed, which a reload keeps, for this account', async () => {
  const { page } = await openNew();
  await page.getByLabel('Endpoint URL').fill(`http://localhost:${await reservePort()}/webhooks/fltr`);
  await page.getByRole('button', { name: 'Create webhook' }).click();
  await page.getByRole('button', { name: 'Send a test event' }).click();
  await page.getByText('Waiting for your receiver').waitFor();
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.getByRole('button', { name: 'Send a test event' }).waitFor();
  await page.getByRole('button', { name: 'Dismiss' }).click();
  await heading(page, 'Get started', 2).waitFor({ state: 'detached' });
  await page.reload();
  await page
    .getByRole('table')
    .getByRole('link', { name: /webhooks\/fltr$/ })
    .waitFor();
  await untilLoaded(page);
  expect(await heading(page, 'Get started', 2).count()).toBe(0);
  await openNew().then(({ page: other }) => heading(other, 'Get started', 2).waitFor());
});

test('a key that may not create webhooks gets no checklist', async () => {
  const { accountId } = await service.newAccount();
  const key = await service.newKey({ accountId, scopes: ['webhooks:read'] });
  const { page } = await openDashboard(browser, service, '/webhooks', { key });
  await heading(page, 'No webhooks yet', 2).waitFor();
  expect(await heading(page, 'Get started', 2).count()).toBe(0);
});

test.each([
  { colorScheme: 'light', width: 1280, height: 800 },
  { colorScheme: 'dark', width: 360, height: 740 },
] as const)('in $colorScheme, $width wide: no barrier, no overflow, by keyboard', async (window) => {
  const { page } = await openNew(window);
  await heading(page, 'Get started', 2).waitFor();
  const isFine = async () => {
    expect(await findBarriers(page)).toEqual([]);
    expect(await page.evaluate<number>('document.scrollingElement.scrollWidth')).toBeLessThanOrEqual(
      window.width,
    );
  };
  await isFine();
  await page.getByLabel('Endpoint URL').fill(`${receiver.url}/webhooks/fltr`);
  await page.keyboard.press('Enter');
  await step(page, 'Run a receiver').getByRole('tab', { name: 'Node' }).focus();
  await page.keyboard.press('ArrowRight');
  await untilFocused(step(page, 'Run a receiver').getByRole('tab', { name: 'Python' }));
  await isFine();
  await page.getByRole('button', { name: 'Send a test event' }).focus();
  await page.keyboard.press('Enter');
  await step(page, 'Publish from your code').getByRole('tab', { name: 'curl' }).waitFor();
  await isFine();
});
