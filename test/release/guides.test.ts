import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Delivery } from '../../src/contracts/delivery.ts';
import { packageRoot } from '../../src/package-root.ts';
import { blocksOf, difference, onlyBlock, openShell, type Block } from '../kit/guides.ts';
import { startMailServer } from '../kit/mail-server.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { scopes } from '../../src/security/api-keys.ts';
import { call, startService, stopAll, until, type Service } from '../kit/service.ts';

/**
 * Runs the commands of the guides. In order, for each guide: `sh` blocks in a shell, against the real service, with an account
 * of their own. A `json` block after one is part of its output, a `text` block all of it. Elsewhere a `text` block is one that
 * cannot be run here. receivers-examples.test.ts runs the programs of docs/receiving.md.
 */
const guides = [
  'concepts',
  'accounts',
  'api',
  'event-types',
  'for-your-customers',
  'outbox',
  'command-line',
  'settings',
  'retries-and-states',
  'policies',
  'limits',
  'rotation',
  'testing-locally',
  'troubleshooting',
  'alerts',
  'operating',
  'security',
  'privacy',
  'portal',
  'receiving',
  'white-label',
  'migrating',
  'README',
].map((name) => `docs/${name}.md`);
/** Shown figures are compared by tests of their own, or have none. */
const others = ['docs/performance.md', 'docs/scaling.md'];
const languages = ['sh', 'json', 'text', 'mermaid'];
/** Programs are run by tests of their own. */
const programs: Record<string, string[]> = {
  'docs/receiving.md': ['python', 'js', 'go'],
  'docs/api.md': ['ts'],
  'docs/portal.md': ['html'],
  'docs/outbox.md': ['sql'],
};

let service: Service;
let receiver: Receiver;
let mailServer: Awaited<ReturnType<typeof startMailServer>>;
beforeAll(async () => {
  [mailServer, receiver] = await Promise.all([startMailServer(), startReceiver()]);
  service = await startService({
    FLTR_SMTP_URL: `smtp://127.0.0.1:${mailServer.port}`,
    FLTR_SMTP_FROM: 'alerts@fltr.example',
  });
});
afterAll(() => stopAll(service, receiver, mailServer));

test('every guide is known here, and every block is of a language that is run, or text', () => {
  const there = readdirSync(join(packageRoot, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`);
  expect(there.filter((path) => !others.includes(path)).sort()).toEqual([...guides].sort());
  for (const path of guides) {
    const allowed = [...languages, ...(programs[path] ?? [])];
    for (const { language, line } of blocksOf(path)) expect(allowed, `${path}:${line}`).toContain(language);
  }
});

/** Blocks that only read are repeated until the response is the one that is shown. */
const isReading = ({ text }: Block) => !/ -d | -X |^fltr-webhooks/m.test(text);

/** The block after a command that claims to be its output. */
function differenceOf(next: Block | undefined, output: string): string | null {
  if (next?.language === 'json') return difference(JSON.parse(next.text), JSON.parse(output));
  if (next?.language === 'text') return difference(next.text, output);
  return null;
}

async function runGuide(path: string): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'fltr-guide-'));
  try {
    const { key, accountId } = await service.newAccount();
    const serviceKey = await service.newKey({ accountId: null, scopes });
    const create = await call<{ webhook_id: string }>(service.apiUrl, key, 'POST', '/v1/webhooks', {
      url: `${receiver.url}/webhooks/fltr`,
      events: ['document.processed'],
    });
    const shell = openShell(folder, {
      FLTR_API_URL: service.apiUrl,
      FLTR_API_KEY: key,
      SERVICE_KEY: serviceKey,
      ACCOUNT_ID: accountId,
      WEBHOOK_ID: create.body.webhook_id,
      RECEIVER_URL: `${receiver.url}/webhooks/fltr`,
      SLACK_URL: `${receiver.url}/slack`,
      DATABASE_URL: service.databaseUrl,
      FLTR_DATA_DIR: join(folder, 'data'),
    });
    const blocks = blocksOf(path);
    let runCount = 0;
    for (const [index, block] of blocks.entries()) {
      if (block.language === 'json')
        expect(() => void JSON.parse(block.text), `${path}:${block.line}`).not.toThrow();
      if (block.language !== 'sh') continue;
      const outcome = async () => {
        const output = await shell(block.text);
        const found = differenceOf(blocks[index + 1], output);
        return found && `${path}:${block.line} ${found}\n${output}`;
      };
      runCount += 1;
      if (isReading(block)) await until(outcome, (found) => found === null);
      else expect(await outcome()).toBeNull();
    }
    return runCount;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test.each(guides)('the commands and responses of %s are true', { timeout: 180_000 }, async (path) => {
  const shells = blocksOf(path).filter(({ language }) => language === 'sh');
  expect(await runGuide(path)).toBe(shells.length);
});

test('a guide that shows something else would be found', () => {
  const real = {
    id: 'dlv_01m8571b5sfgb980c41xv407p9',
    status: 'failed',
    attempts: [{ duration_ms: 5 }],
    more: 1,
  };
  expect(
    difference({ id: 'dlv_00000000000000000000000000', attempts: [{ duration_ms: 7 }] }, real),
  ).toBeNull();
  expect(difference({ status: 'delivered' }, real)).toBe('/status: "delivered" shown, "failed" there');
  expect(difference({ attempts: [] }, real)).toBe('/attempts: 0 shown, 1 there');
  expect(difference({ reason: null }, real)).toBe('/reason: null shown, nothing there');
});

test("the README's five minutes work as they stand", { timeout: 180_000 }, async () => {
  const { key } = await service.newAccount();
  let isUp = true;
  const local = await startReceiver((_request, response) =>
    response.writeHead(isUp ? 200 : 503).end('{"received":true}'),
  );
  const folder = mkdtempSync(join(tmpdir(), 'fltr-guide-'));
  onTestFinished(async () => {
    await local.close();
    rmSync(folder, { recursive: true });
  });
  const blocks = blocksOf('README.md');
  const ofLanguage = (language: string) => blocks.filter((block) => block.language === language);
  // Commands that are no calls have tests of their own: the start, the examples.
  const [calls, others] = [true, false].map((isCall) =>
    ofLanguage('sh').filter(({ text }) => text.includes('curl ') === isCall),
  ) as [Block[], Block[]];
  expect(others.map(({ text }) => /^(npm ci|WEBHOOK_SECRET=\S+ node examples)/.test(text))).toEqual(
    others.map(() => true),
  );
  const [create, publish, retry, testEvent, ...more] = calls.map(({ text }) => text);
  expect(more).toEqual([]);
  const ids: Record<string, string> = {};
  const shell = openShell(folder, {});
  const runBlock = async (text = ''): Promise<Record<string, unknown>> => {
    const real = text
      .replace('KEY=fltr_…', `KEY=${key}`)
      .replaceAll('http://127.0.0.1:3000', service.apiUrl)
      .replaceAll('http://localhost:5000', local.url)
      .replaceAll('curl ', 'curl -s ')
      .replaceAll(/\b(wh|dlv)_…/g, (name) => ids[name.slice(0, -2)] ?? name);
    return JSON.parse(await shell(real)) as Record<string, unknown>;
  };
  // `…` means a part that is left out: further fields, or the rest of a text.
  const whole = (text: string) =>
    text.replaceAll(/"\w+":\s*"[^"]*…[^"]*"/g, '…').replaceAll(/,\s*…|…\s*,/g, '');
  const shown = ofLanguage('json').map(({ text }) => JSON.parse(whole(text)) as object);
  const read = async () =>
    (await call<Delivery>(service.apiUrl, key, 'GET', `/v1/deliveries/${ids['dlv']}`)).body;

  const webhook = await runBlock(create);
  expect(difference(shown[0], webhook)).toBeNull();
  ids['wh'] = String(webhook['webhook_id']);
  const event = (await runBlock(publish)) as { deliveries: { id: string }[] };
  expect(difference(shown[1], event)).toBeNull();
  ids['dlv'] = event.deliveries[0]?.id ?? '';
  await until(
    async () => difference(shown[2], await read()),
    (found) => found === null,
  );

  isUp = false;
  ids['dlv'] = ((await runBlock(publish)) as typeof event).deliveries[0]?.id ?? '';
  await until(read, ({ status }) => status === 'retrying');
  isUp = true;
  await runBlock(retry);
  await until(read, ({ status }) => status === 'delivered');
  expect(await runBlock(testEvent)).toMatchObject({ attempt: { outcome: 'delivered' } });
});

test('the program of docs/api.md publishes and verifies', { timeout: 60_000 }, async () => {
  const { key } = await service.newAccount();
  const local = await startReceiver();
  const script = join(packageRoot, 'dist', `api-guide-${process.pid}.mjs`);
  onTestFinished(async () => {
    await local.close();
    rmSync(script, { force: true });
  });
  const created = await call<{ webhook_id: string; secret: string }>(
    service.apiUrl,
    key,
    'POST',
    '/v1/webhooks',
    { url: local.url, events: ['document.processed'] },
  );
  const { webhook_id, secret } = created.body;
  await call(service.apiUrl, key, 'POST', '/v1/webhooks/test', { webhook_id, event: 'document.processed' });
  const { body, headers } = local.requests[0] ?? { body: '', headers: {} };
  const received = `const body = ${JSON.stringify(body.toString())}; const request = ${JSON.stringify({ headers })};`;
  const program = onlyBlock('docs/api.md', 'ts').replace('http://127.0.0.1:3000', service.apiUrl);
  const output = 'console.log(deliveries.length, event, data.document_id);';
  writeFileSync(script, [received, program, output].join('\n'));
  const env = { FLTR_API_KEY: key, WEBHOOK_SECRET: secret };
  const { stdout } = await promisify(execFile)(process.execPath, [script], { env, timeout: 30_000 });
  expect(stdout).toBe('0 document.processed doc_abc123\n');
});
