import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { Webhook as SvixWebhook } from 'svix';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventTypeExamples } from '../../src/contracts/event-types.ts';
import { signStandard } from '../../src/domain/signature.ts';
import { packageRoot } from '../../src/package-root.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { startService, until, type Service } from '../kit/service.ts';

const run = promisify(execFile);
const venv = join(packageRoot, 'examples/flask/venv.mjs');

type Headers = Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string>;
/** Returns what the body says. @throws Error with the library's own words */
type Verify = (secret: string, headers: Headers, body: Buffer) => Promise<unknown>;

const verifyInPython = `
import json, sys
from standardwebhooks import Webhook, WebhookVerificationError
request = json.load(sys.stdin)
try:
    print(json.dumps(Webhook(request["secret"]).verify(request["body"], request["headers"])))
except WebhookVerificationError as error:
    sys.exit(str(error))
`;

let python: string;
const libraries: { name: string; verify: Verify }[] = [
  {
    name: 'npm standardwebhooks',
    verify: async (secret, headers, body) => new StandardWebhook(secret).verify(body, headers),
  },
  {
    name: 'npm svix',
    verify: async (secret, headers, body) => new SvixWebhook(secret).verify(body, headers),
  },
  {
    name: 'PyPI standardwebhooks',
    async verify(secret, headers, body) {
      const verifying = run(python, ['-c', verifyInPython], { timeout: 30_000 });
      verifying.child.stdin?.end(JSON.stringify({ secret, headers, body: body.toString() }));
      return JSON.parse((await verifying).stdout) as unknown;
    },
  },
];

let service: Service;
let receiver: Receiver;
let secret: string;
let body: Buffer;
let headers: Headers;

beforeAll(async () => {
  const found = await run(process.execPath, [venv, 'standardwebhooks==1.1.0'], { timeout: 240_000 });
  python = found.stdout.trim();
  [service, receiver] = await Promise.all([startService(), startReceiver()]);
  ({ secret } = await service.newWebhook(receiver.url));
  const { timestamp, data } = eventTypeExamples['document.processed'];
  // Text that only the same bytes, read as UTF-8, verify.
  const described = { ...data, status: 'prêt – 準備完了 🎉' };
  await service.publish({ event: 'document.processed', timestamp, data: described });
  const [captured] = await until(
    () => receiver.requests,
    ({ length }) => length === 1,
  );
  if (!captured) throw new Error('Nothing was delivered');
  const header = (name: keyof Headers) => captured.headers[name]?.toString() ?? '';
  headers = {
    'webhook-id': header('webhook-id'),
    'webhook-timestamp': header('webhook-timestamp'),
    'webhook-signature': header('webhook-signature'),
  };
  ({ body } = captured);
}, 300_000);
afterAll(async () => {
  await receiver?.close();
  await service?.stop();
});

describe.each(libraries)('a real delivery, verified by $name', ({ verify }) => {
  it('the Standard Webhooks library accepts it', async () => {
    const event = await verify(secret, headers, body);
    expect(event).toEqual(JSON.parse(body.toString()));
    expect(event).toMatchObject({ id: headers['webhook-id'], event: 'document.processed' });
  });

  it('is refused with a changed body, id or time', async () => {
    const changed = Buffer.from(body.toString().replace('doc_abc123', 'doc_abc124'));
    expect(changed.equals(body)).toBe(false);
    await expect(verify(secret, headers, changed)).rejects.toThrow(/No matching signature/);
    const otherId = { ...headers, 'webhook-id': `${headers['webhook-id']}x` };
    await expect(verify(secret, otherId, body)).rejects.toThrow(/No matching signature/);
    const otherTime = { ...headers, 'webhook-timestamp': String(Number(headers['webhook-timestamp']) - 1) };
    await expect(verify(secret, otherTime, body)).rejects.toThrow(/No matching signature/);
  });

  it('is refused five minutes later, rightly signed or not', async () => {
    const signedAgo = (seconds: number): Headers => {
      const timestamp = Math.floor(Date.now() / 1000) - seconds;
      return {
        ...headers,
        'webhook-timestamp': String(timestamp),
        'webhook-signature': signStandard(secret, headers['webhook-id'], timestamp, body),
      };
    };
    await expect(verify(secret, signedAgo(310), body)).rejects.toThrow(/timestamp too old/);
    await expect(verify(secret, signedAgo(-320), body)).rejects.toThrow(/timestamp too new/);
    await expect(verify(secret, signedAgo(240), body)).resolves.toBeDefined();
  });
});
