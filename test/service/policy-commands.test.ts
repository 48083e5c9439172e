import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Webhook } from '../../src/contracts/webhook.ts';
import { presetTexts } from '../../src/domain/retry-policy.ts';
import { runInProcess } from '../kit/command.ts';
import { startService, type Service } from '../kit/service.ts';

/** The policy of a webhook by the command line, against the real service. */
let service: Service;
let folder: string;
beforeAll(async () => {
  service = await startService();
  folder = mkdtempSync(join(tmpdir(), 'fltr-policy-commands-'));
});
afterAll(async () => {
  await service.stop();
  rmSync(folder, { recursive: true });
});

const run = (...command: string[]): Promise<{ code: number; output: string }> =>
  runInProcess(['webhooks', ...command], {
    FLTR_API_URL: service.apiUrl,
    FLTR_API_KEY: service.key,
    FLTR_DATA_DIR: folder,
  });

async function json(...command: string[]): Promise<Webhook> {
  const { code, output } = await run(...command, '--json');
  expect([code, output]).toEqual([0, expect.stringMatching(/^\{/)]);
  return JSON.parse(output) as Webhook;
}

const create = (...options: string[]) =>
  json('create', '--url', 'http://localhost:9/', '--events', '*', ...options);

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const words = (text: string): string[] => text.split(' ');
const filter = { all: [{ path: '/data/amount', op: 'gte', value: 100 }] };
const defaults = {
  retry: { preset: 'page' },
  timeout_ms: null,
  headers: {},
  auth: null,
  filter: null,
  rate_limit: null,
  max_concurrent: null,
  signatures: ['v1'],
  probe_when_down: false,
  ordering: null,
  on_failure: 'skip',
};

test('the help explains the effect of each retry preset in an outage', async () => {
  for (const command of ['create', 'update']) {
    const { output } = await run(command, '--help');
    for (const text of Object.values(presetTexts)) expect(output).toContain(text);
  }
});

test('a webhook gets its whole policy when it is created, and shows it', async () => {
  const created = await create(
    ...words('--retry day --also 408,429 --jitter 0.1 --on-gone disable --timeout-ms 10000'),
    ...words('--rate-limit 500/15m --max-concurrent 4 --signatures v1,v1a --probe-when-down'),
    ...words('--ordering by_key --on-failure block'),
    '--filter',
    file('filter.json', JSON.stringify(filter)),
  );
  expect(created).toMatchObject({
    retry: { preset: 'day', also: ['408', '429'], jitter: 0.1, on_gone: 'disable' },
    timeout_ms: 10_000,
    filter,
    rate_limit: { attempts: 500, seconds: 900 },
    max_concurrent: 4,
    signatures: ['v1', 'v1a'],
    probe_when_down: true,
    ordering: 'by_key',
    on_failure: 'block',
  });
  const { output } = await run('show', created.webhook_id);
  for (const line of [
    /^health +healthy$/m,
    /^retry +day, also 408, 429, jitter 0.1, 410 disables it$/m,
    /^timeout +10000 ms$/m,
    /^filter +\{"all":\[\{.*"path":"\/data\/amount".*\}\]\}$/m,
    /^rate limit +500 attempts in 900 s$/m,
    /^max concurrent +4$/m,
    /^signatures +v1, v1a$/m,
    /^probe when down +yes$/m,
    /^ordering +by_key$/m,
    /^on failure +block$/m,
  ])
    expect(output).toMatch(line);
});

test('an update changes the fields that it names and keeps the rest; none restores the default', async () => {
  const { webhook_id: id } = await create('--schedule', '5, 60,300', '--also', '429', '--jitter', '0.2');
  const update = (...options: string[]) => json('update', id, ...options);
  expect((await update('--jitter', '0')).retry).toEqual({
    schedule_seconds: [5, 60, 300],
    also: ['429'],
    jitter: 0,
  });
  expect((await update('--retry', 'week', '--apply-to', 'waiting')).retry).toEqual({
    preset: 'week',
    also: ['429'],
    jitter: 0,
  });
  expect((await update('--retry', 'page', '--also', '', '--probe-when-down')).retry).toMatchObject({
    preset: 'page',
    also: [],
  });
  const set = await update(
    ...words('--timeout-ms 1000 --rate-limit 10/s --max-concurrent 1 --ordering all'),
    '--filter',
    JSON.stringify(filter),
  );
  expect(set).toMatchObject({ rate_limit: { attempts: 10, seconds: 1 }, probe_when_down: true, filter });
  expect(set).toMatchObject({ ordering: 'all', on_failure: 'skip' });
  const none = ['--timeout-ms', '--rate-limit', '--max-concurrent', '--filter', '--ordering'];
  const back = await update(...none.flatMap((option) => [option, 'none']), '--no-probe-when-down');
  expect(back).toMatchObject({ ...defaults, retry: back.retry });
});

test('put replaces the whole policy: fields that it leaves out are as for a new webhook', async () => {
  const put = ['put', 'order-service', '--url', 'http://localhost:9/', '--events', '*'];
  const first = await json(...put, '--retry', 'three_days', '--rate-limit', '1/1h');
  expect(first).toMatchObject({
    retry: { preset: 'three_days' },
    rate_limit: { attempts: 1, seconds: 3600 },
  });
  expect(await json(...put)).toMatchObject(defaults);
});

test.each([
  [['--retry', 'day', '--schedule', '5'], '--retry and --schedule exclude each other.'],
  [['--retry', 'month'], 'Allowed choices are page, day, three_days, week, none'],
  [['--schedule', '5,x'], '--schedule must be a number, not x.'],
  [['--schedule', '86401'], 'schedule_seconds'],
  [['--also', '404'], 'also'],
  [['--jitter', 'some'], '--jitter must be a number, not some.'],
  [['--jitter', '0.21'], 'jitter'],
  [['--on-gone', 'retry'], 'Allowed choices are fail, disable'],
  [['--timeout-ms', '999'], 'timeout_ms'],
  [['--timeout-ms', ''], '--timeout-ms must be a number'],
  [['--header', 'secret-without-a-name'], '--header must be "Name: value"'],
  [['--auth', 'digest'], '--auth begins with basic, bearer, oauth2, mtls or none, not with digest.'],
  [['--auth', 'basic', '--auth', 'token=x'], '--auth basic has username, password'],
  [['--auth', 'bearer', '--auth', 'secret'], 'a word without a name'],
  [['--auth', 'bearer', '--auth', 'token=@/nowhere'], 'Cannot read /nowhere'],
  [['--auth', 'oauth2', '--auth', 'client_id=x'], 'token_url is missing'],
  [['--filter', '{"all":'], '--filter is not JSON'],
  [['--filter', '/nowhere'], 'Cannot read /nowhere'],
  [['--rate-limit', '10'], '--rate-limit must be attempts/time, such as 10/1s or 500/15m, not 10.'],
  [['--rate-limit', '10001/1s'], 'attempts'],
  [['--max-concurrent', '101'], 'max_concurrent'],
  [['--signatures', 'v2'], 'signatures'],
])('%j is refused, and no secret is repeated', async (options, message) => {
  const { code, output } = await run('create', '--url', 'http://localhost:9/', '--events', '*', ...options);
  expect([code, output]).toEqual([2, expect.stringContaining(message)]);
  expect(output).not.toMatch(/secret-without|\bsecret\b(?! )/);
});

test('headers and authentication are written, kept, replaced and removed, and their values never shown', async () => {
  const { webhook_id: id, ...created } = await create(
    '--header',
    'X-Api-Key: abc:def',
    '--header',
    `X-Other: @${file('value', 'from-a-file\n')}`,
    ...words(`--auth basic --auth username=acme --auth password=@${file('password', 'pa55\n')}`),
  );
  expect(created).toMatchObject({
    headers: { 'X-Api-Key': { set: true }, 'X-Other': { set: true } },
    auth: { type: 'basic', username: 'acme' },
  });
  const { output } = await run('show', id);
  expect(output).toMatch(/^headers +X-Api-Key, X-Other \(values are not shown\)$/m);
  expect(output).toMatch(/^auth +basic, username acme$/m);
  for (const secret of ['abc:def', 'from-a-file', 'pa55'])
    expect(output + JSON.stringify(created)).not.toContain(secret);

  const update = (...options: string[]) => json('update', id, ...options);
  const set = { set: true };
  expect(await update('--header', 'X-Two: 2')).toMatchObject({
    headers: { 'X-Api-Key': set, 'X-Other': set, 'X-Two': set },
    auth: { type: 'basic', username: 'acme' },
  });
  expect((await update('--header', 'X-Api-Key:')).headers).toEqual({ 'X-Other': set, 'X-Two': set });
  expect((await update('--auth', 'bearer', '--auth', 'token=abc')).auth).toEqual({ type: 'bearer' });
  expect(await update('--auth', 'none', '--header', '')).toMatchObject(defaults);
});
