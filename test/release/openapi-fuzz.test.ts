import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { packageRoot } from '../../src/package-root.ts';
import { stayOnLoopback } from '../kit/loopback-only.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { startService, type Service } from '../kit/service.ts';

const run = promisify(execFile);

/** Rules that no schema can express: only these calls may respond with 422 to a request that its schema allows. */
const mayRefuse = [
  // A cursor is a list's own.
  'listWebhooks',
  'listEvents',
  'listDeliveries',
  'listKeys',
  'listOperations',
  'listAuditRecords',
  // Schemas, examples, and names of types are judged.
  'putEventType',
  'testWebhook',
  'matchWebhook',
  'listAccounts',
  // An account's id is shorter than the ids of other paths.
  'putAccount',
  // The URL's target is judged.
  'createWebhook',
  'updateWebhook',
  'putWebhook',
  // The account, the scopes and where it leads back to are judged.
  'createPortalLink',
  // An Idempotency-Key belongs to one body.
  'publishEvent',
  'publishEvents',
  'rotateWebhookSecret',
  // Times are judged by the clock, and one by the other.
  'rescheduleDelivery',
  'recoverWebhook',
  'pauseWebhook',
  'actOnDeliveries',
];

let service: Service;
let receiver: Receiver;
let refused: Set<string>;
let folder: string;
let python: string;
beforeAll(async () => {
  const pins = readFileSync(join(import.meta.dirname, 'openapi-fuzz.requirements.txt'), 'utf8');
  const venv = join(packageRoot, 'examples/flask/venv.mjs');
  const made = await run(process.execPath, [venv, ...pins.trim().split('\n')], { timeout: 240_000 });
  python = made.stdout.trim();
  folder = mkdtempSync(join(tmpdir(), 'fltr-fuzz-'));
  refused = stayOnLoopback();
  receiver = await startReceiver();
  // Without a worker nothing is delivered. Test events are sent, and get no further than this machine.
  service = await startService(
    {
      FLTR_MAX_WEBHOOKS_PER_ACCOUNT: '100000',
      FLTR_ATTEMPT_TIMEOUT_MS: '500',
    },
    'api',
  );
}, 300_000);
afterAll(async () => {
  await service?.stop();
  await receiver?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Returns the output of Schemathesis when it found nothing. @throws Error with its report */
async function fuzz(config: string[], options: string[], key = service.key): Promise<string> {
  const acceptance = [
    '[[operations]]',
    `include-operation-id = ${JSON.stringify(mayRefuse)}`,
    // Test events have a limit of their own: 429.
    'checks.positive_data_acceptance.expected-statuses = ["2xx", 401, 403, 404, 409, 422, 429]',
    // All of a policy's fields at their longest are more than a body may have: 413.
    'checks.negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429, "5xx"]',
    // It would find the key that it calls with in the list of keys.
    '[[operations]]',
    'include-operation-id = "revokeKey"',
    'parameters = { "path.id" = "key_none" }',
    // Without a worker no delivery ends, so that each wait would last as long as it may.
    '[[operations]]',
    'include-operation-id = ["publishEvent", "getEvent"]',
    'parameters = { "query.wait" = 1 }',
  ];
  const configPath = join(folder, 'schemathesis.toml');
  writeFileSync(configPath, [...acceptance, ...config].join('\n'));
  const args = [
    ['-m', 'schemathesis.cli', '--config-file', configPath, 'run', `${service.apiUrl}/openapi.json`],
    ['--header', `Authorization: Bearer ${key}`, '--checks', 'all', '--max-examples', '15'],
    // Any other account would be refused by each call.
    ['--header', `Fltr-Account: ${service.accountId}`],
    // It does not end.
    ['--exclude-operation-id', 'streamChanges'],
    ['--seed', '1', '--generation-database', 'none', '--request-timeout', '20'],
    ['--no-color', '--warnings', 'off', ...options],
  ].flat();
  const limits = { cwd: folder, timeout: 240_000, maxBuffer: 64 * 1024 * 1024 };
  try {
    return (await run(python, args, limits)).stdout;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`Schemathesis found faults:\n${stdout}${stderr}`, { cause: error });
  }
}

test('/openapi.json is true of each call, with any request', async () => {
  const report = await fuzz([], []);
  expect(report).toContain('Seed: 1');
}, 250_000);

test('/openapi.json is also true of each call with existing objects', async () => {
  const webhook = await service.newWebhook(receiver.url);
  const event = await service.publish();
  const ids = {
    webhooks: webhook.webhook_id,
    events: event.id,
    deliveries: event.deliveries.find(({ webhook_id }) => webhook_id === webhook.webhook_id)?.id,
  };
  const known = Object.entries(ids).flatMap(([list, id]) => [
    '[[operations]]',
    `include-path-regex = '^/v1/${list}/\\{id\\}'`,
    `parameters = { "path.id" = "${id}", "query.wait" = 1 }`,
  ]);
  const report = await fuzz(known, [
    '--include-path-regex',
    '/\\{id\\}',
    '--exclude-operation-id',
    'deleteWebhook',
  ]);
  expect(report).toContain('Seed: 1');
  // The documentation's example was used, so test events were sent, and were kept here.
  expect([...refused]).toContain('your-app.com');
}, 250_000);

test('/openapi.json is true of the calls for service keys', async () => {
  const key = await service.newKey({ accountId: null });
  const calls = '^/v1/(event-types|accounts)';
  // Until its deletion is complete, an account shows how far that is: it can be read after DELETE.
  const options = ['--include-path-regex', calls, '--exclude-checks', 'use_after_free'];
  // PUT of its path is the call that defines an event type, which refuses the name `stats`.
  options.push('--exclude-operation-id', 'getEventTypeStats');
  const report = await fuzz([], options, key);
  expect(report).toContain('Seed: 1');
  const { rowCount } = await service.pool.query(`select 1 from accounts where id <> $1`, [service.accountId]);
  expect(rowCount).toBeGreaterThan(1);
}, 250_000);
