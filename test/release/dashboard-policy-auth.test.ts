import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { verify } from '../../src/client/index.ts';
import type { Webhook } from '../../src/contracts/webhook.ts';
import { findBarriers, launchBrowser } from '../kit/browser.ts';
import { waitForStatus } from '../kit/delivery-steps.ts';
import { startMutualReceiver } from '../kit/mutual-receiver.ts';
import { startOAuthServer, type OAuthServer } from '../kit/oauth-server.ts';
import { openDashboard, readClipboard, untilFocused, untilRefused } from '../kit/open-dashboard.ts';
import { create, facts, openEdit, openNew, save } from '../kit/policy-form.ts';
import { openAccount } from '../kit/recoveries.ts';
import { startService, stopAll, type Service } from '../kit/service.ts';
import { startReceiver, type Received, type Receiver } from '../kit/test-receiver.ts';

vi.setConfig({ testTimeout: 120_000 });

const first = { id: 'fltr', secret: 'client-secret-one' };
const second = { id: 'fltr-2', secret: 'client-secret-two' };
let service: Service;
let receiver: Receiver;
let oauth: OAuthServer;
let browser: Browser;
beforeAll(async () => {
  oauth = await startOAuthServer([first, second]);
  [service, receiver, browser] = await Promise.all([
    startService({ FLTR_RETRY_SCHEDULE_SECONDS: '1,1,1' }),
    startReceiver((request, response) => {
      if (request.path !== '/protected') return void response.end();
      void oauth
        .accepts(request.headers.authorization)
        .then((isAccepted) => response.writeHead(isAccepted ? 200 : 401).end());
    }),
    launchBrowser(),
  ]);
});
afterAll(() => stopAll(browser, service, receiver, oauth));

/** An account of its own, and its dashboard with everything that it reads. */
async function open() {
  const { accountId, key, call, publish } = await openAccount(service);
  const mine: Service = { ...service, accountId, key, call };
  const { page } = await openDashboard(browser, mine, '/webhooks');
  const read: Promise<string>[] = [];
  // The stream of changes does not end, so it is not among them.
  page.on('requestfinished', (request) => {
    if (request.url().includes('/v1/'))
      read.push(
        request
          .response()
          .then((response) => response?.text() ?? '')
          .catch(() => ''),
      );
  });
  return {
    mine,
    page,
    readWebhook: async (id: string) => (await call<Webhook>('GET', `/v1/webhooks/${id}`)).body,
    async publishOne(status: 'delivered' | 'failed', attempts: number) {
      const [id = ''] = await publish(1);
      return waitForStatus(mine, id, status, attempts);
    },
    /** Fails where the page shows one of the values, or has read it. */
    async expectUnread(...values: string[]) {
      const all = [await page.content(), ...(await Promise.all(read))].join('\n');
      expect(all).toContain('"auth":{"type":');
      for (const value of values) expect(all).not.toContain(value);
    },
  };
}

const authChoice = (form: Pick<Page, 'getByLabel'>) => form.getByLabel('Requests are authenticated with');

test('OAuth 2: the receiver gets the access token; credentials are kept by another edit, replaced together, and removed', async () => {
  const { page, readWebhook, publishOne, expectUnread } = await open();
  await openNew(page, `${receiver.url}/protected`);
  await authChoice(page).selectOption('oauth2');
  const tokenUrl = page.getByLabel('URL of the token server');
  await tokenUrl.fill('http://example.com/token');
  await page.getByLabel('Client id').fill(first.id);
  await page.getByLabel('Client secret').fill(first.secret);
  await page.getByLabel('Scope (optional)').fill('webhooks:write');
  await page.getByLabel('Audience (optional)').fill('receivers');
  await page.getByRole('button', { name: 'Create' }).click();
  await untilRefused(tokenUrl, /https/);
  await untilFocused(tokenUrl);
  await tokenUrl.fill(oauth.tokenUrl);
  const id = await create(page);
  const shown = {
    type: 'oauth2',
    token_url: oauth.tokenUrl,
    client_id: first.id,
    scope: 'webhooks:write',
    audience: 'receivers',
  };
  expect((await readWebhook(id)).auth).toEqual(shown);
  await facts(page).getByText('OAuth 2: client credentials').waitFor();
  const parts = [`Token server: ${oauth.tokenUrl}`, 'Client id: fltr', 'Scope: webhooks:write'];
  await facts(page)
    .getByText(`${parts.join(', ')}, Audience: receivers`)
    .waitFor();
  await facts(page).getByText('secret values are not shown').waitFor();
  await publishOne('delivered', 1);
  const { authorization } = receiver.requests.at(-1)?.headers ?? {};
  expect(await oauth.accepts(authorization)).toBe(true);

  // Another edit keeps them: with them, the service gets a token in place of a revoked one.
  let dialog = await openEdit(page, id);
  await dialog.getByText(`Is set. ${parts.join(', ')}`).waitFor();
  expect(await dialog.getByLabel('Client secret').count()).toBe(0);
  await dialog.getByLabel('Requests at once').fill('7');
  await save(dialog);
  expect(await readWebhook(id)).toMatchObject({ auth: shown, max_concurrent: 7 });
  await oauth.revoke(authorization?.slice('Bearer '.length) ?? '');
  await publishOne('delivered', 2);

  dialog = await openEdit(page, id);
  await dialog.getByRole('button', { name: 'Replace' }).click();
  expect(await dialog.getByLabel('URL of the token server').inputValue()).toBe(oauth.tokenUrl);
  expect(await dialog.getByLabel('Client secret').inputValue()).toBe('');
  expect(await findBarriers(page)).toEqual([]);
  await dialog.getByRole('button', { name: 'Keep what is set' }).click();
  await dialog.getByText('Is set.').waitFor();
  await save(dialog);
  expect((await readWebhook(id)).auth).toEqual(shown);
  dialog = await openEdit(page, id);
  await dialog.getByRole('button', { name: 'Replace' }).click();
  await dialog.getByLabel('Client id').fill(second.id);
  await dialog.getByLabel('Client secret').fill(second.secret);
  await dialog.getByLabel('Audience (optional)').fill('');
  await save(dialog);
  const { audience: _audience, ...others } = shown;
  expect((await readWebhook(id)).auth).toEqual({ ...others, client_id: second.id });
  const before = oauth.tokenRequests();
  await publishOne('delivered', 1);
  expect(oauth.tokenRequests()).toBe(before + 1);
  await expectUnread(first.secret, second.secret);

  dialog = await openEdit(page, id);
  await authChoice(dialog).selectOption('none');
  await save(dialog);
  await facts(page).getByText('Authentication').waitFor({ state: 'detached' });
  expect((await readWebhook(id)).auth).toBeNull();
  await publishOne('failed', 1);
  expect(receiver.requests.at(-1)?.headers).not.toHaveProperty('authorization');
});

test('mTLS: the receiver sees the certificate; it is kept by another edit, replaced with its key, and removed', async () => {
  const { page, readWebhook, publishOne, expectUnread } = await open();
  const { url, ca, one, two, seen } = await startMutualReceiver();
  await openNew(page, url);
  await authChoice(page).selectOption('mtls');
  await page.getByLabel('Certificate, in PEM', { exact: true }).fill(one.cert);
  const key = page.getByLabel('Private key, in PEM');
  await key.fill(two.key);
  await page.getByLabel("CA of the receiver's certificate, in PEM (optional)").fill(ca);
  await page.getByRole('button', { name: 'Create' }).click();
  await untilRefused(key, /does not belong to the certificate/);
  await untilFocused(key);
  await key.fill(one.key);
  const id = await create(page);
  expect((await readWebhook(id)).auth).toEqual({ type: 'mtls' });
  await facts(page).getByText('mTLS: a client certificate').waitFor();
  await facts(page).getByText('secret values are not shown').waitFor();
  await publishOne('delivered', 1);
  expect(seen).toEqual([{ name: 'one', path: '/mutual' }]);

  let dialog = await openEdit(page, id);
  await dialog.getByText('Is set.').waitFor();
  expect(await dialog.getByLabel('Private key, in PEM').count()).toBe(0);
  await dialog.getByLabel('URL', { exact: true }).fill(url.replace('/mutual', '/moved'));
  await save(dialog);
  await publishOne('delivered', 1);
  expect(seen.at(-1)).toEqual({ name: 'one', path: '/moved' });

  dialog = await openEdit(page, id);
  await dialog.getByRole('button', { name: 'Replace' }).click();
  for (const label of ['Certificate, in PEM', 'Private key, in PEM'])
    expect(await dialog.getByLabel(label, { exact: true }).inputValue()).toBe('');
  await dialog.getByLabel('Certificate, in PEM', { exact: true }).fill(two.cert);
  await dialog.getByLabel('Private key, in PEM').fill(two.key);
  await dialog.getByLabel("CA of the receiver's certificate, in PEM (optional)").fill(ca);
  await save(dialog);
  await publishOne('delivered', 1);
  expect(seen.at(-1)?.name).toBe('two');
  const values = [one.cert, one.key, two.cert, two.key, ca];
  await expectUnread(...values.map((pem) => pem.split('\n')[1] ?? 'no PEM'));

  dialog = await openEdit(page, id);
  await authChoice(dialog).selectOption('none');
  await save(dialog);
  expect((await readWebhook(id)).auth).toBeNull();
  // The authority goes with it: the receiver's certificate is no longer accepted.
  const { attempts } = await publishOne('failed', 4);
  expect(attempts.map(({ error }) => error?.code)).toEqual(Array(4).fill('tls_certificate'));
  expect(seen).toHaveLength(3);
});

const signaturesOf = ({ headers }: Received): string[] =>
  String(headers['webhook-signature'])
    .split(' ')
    .map((each) => each.split(',')[0] ?? '');

test('signatures: the receiver gets the chosen versions, and verifies v1a with the public key of the page; a rotation shows both', async () => {
  const { mine, page, readWebhook, publishOne } = await open();
  const [v1, v1a] = [/^v1: HMAC/, /^v1a: ed25519/].map((name) => ({ name }));
  const send = async () => {
    const before = receiver.requests.length;
    await publishOne('delivered', 1);
    const sent = receiver.requests[before];
    if (!sent) throw new Error('The receiver got no request');
    return { sent, message: { body: sent.body, headers: sent.headers as Record<string, string> } };
  };
  await openNew(page, `${receiver.url}/signed`);
  expect(await page.getByRole('checkbox', v1).isChecked()).toBe(true);
  await page.getByRole('checkbox', v1).uncheck();
  await page.getByRole('button', { name: 'Create' }).click();
  const group = page.getByRole('group', { name: 'Signatures' });
  await untilRefused(group, /at least one version/);
  await untilFocused(group);
  expect(await findBarriers(page)).toEqual([]);
  await page.getByRole('checkbox', v1).check();
  await page.getByRole('checkbox', v1a).check();
  const id = await create(page);
  expect((await readWebhook(id)).signatures).toEqual(['v1', 'v1a']);
  await facts(page).getByText('v1 (HMAC) and v1a (ed25519).').waitFor();
  await facts(page).getByRole('button', { name: 'Copy public key' }).click();
  const publicKey = await readClipboard(page);
  expect(publicKey).toMatch(/^whpk_/);
  const { secret } = (await mine.call<{ secret: string }>('GET', `/v1/webhooks/${id}/secret`)).body;
  const both = await send();
  expect(signaturesOf(both.sent)).toEqual(['v1', 'v1a']);
  expect(verify({ ...both.message, publicKey })).toBeTruthy();
  expect(verify({ ...both.message, secret })).toBeTruthy();
  expect(await findBarriers(page)).toEqual([]);

  let dialog = await openEdit(page, id);
  expect(await dialog.getByRole('checkbox', v1a).isChecked()).toBe(true);
  await dialog.getByRole('checkbox', v1).uncheck();
  await save(dialog);
  await facts(page)
    .getByText(/^v1a \(ed25519\)\./)
    .waitFor();
  expect((await readWebhook(id)).signatures).toEqual(['v1a']);
  const alone = await send();
  expect(signaturesOf(alone.sent)).toEqual(['v1a']);
  expect(verify({ ...alone.message, publicKey })).toBeTruthy();

  await mine.call('POST', `/v1/webhooks/${id}/rotate-secret`, {});
  await page.reload();
  await facts(page).getByText(`During the overlap also ${publicKey}`).waitFor();
  dialog = await openEdit(page, id);
  await dialog.getByRole('checkbox', v1).check();
  await dialog.getByRole('checkbox', v1a).uncheck();
  await save(dialog);
  await facts(page).getByText('Public key').waitFor({ state: 'detached' });
  expect((await readWebhook(id)).signatures).toEqual(['v1']);
  expect(new Set(signaturesOf((await send()).sent))).toEqual(new Set(['v1']));
});
