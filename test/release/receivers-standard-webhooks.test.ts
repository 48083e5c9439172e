import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { Webhook as SvixWebhook } from 'svix';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verify as verifyHere } from '../../src/client/verify.ts';
import { eventTypeExamples } from '../../src/contracts/event-types.ts';
import { requestFormats, type RequestFormat } from '../../src/contracts/webhook-format.ts';
import { signStandard } from '../../src/domain/signature.ts';
import { packageRoot } from '../../src/package-root.ts';
import { startReceiver, type Received, type Receiver } from '../kit/test-receiver.ts';
import { startService, stopAll, until, type Service } from '../kit/service.ts';

const run = promisify(execFile);
const venv = join(packageRoot, 'examples/flask/venv.mjs');

type Headers = Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string>;
/** Returns the body, parsed. @throws Error with the library's own words */
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

/** Prints the attributes and the data of a structured CloudEvent. */
const readCloudEvent = `
import json, sys
from cloudevents.core.bindings.http import HTTPMessage, from_http
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
request = json.load(sys.stdin)
event = from_http(HTTPMessage(request["headers"], request["body"].encode()), JSONFormat(), CloudEvent)
print(json.dumps({"attributes": event.get_attributes(), "data": event.get_data()}, default=str))
`;

let python: string;

async function runPython(program: string, input: Record<string, unknown>): Promise<unknown> {
  const running = run(python, ['-c', program], { timeout: 30_000 });
  running.child.stdin?.end(JSON.stringify(input));
  return JSON.parse((await running).stdout) as unknown;
}

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
    verify: (secret, headers, body) => runPython(verifyInPython, { secret, headers, body: body.toString() }),
  },
];

let service: Service;
let receiver: Receiver;
let secret: string;
let body: Buffer;
let headers: Headers;

beforeAll(async () => {
  const file = join(import.meta.dirname, 'receivers-standard-webhooks.requirements.txt');
  const pins = readFileSync(file, 'utf8').trim().split('\n');
  const found = await run(process.execPath, [venv, ...pins], { timeout: 240_000 });
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
  headers = headersOf(captured);
  ({ body } = captured);
}, 300_000);
afterAll(() => stopAll(receiver, service));

function headersOf({ headers }: Received): Headers {
  const header = (name: keyof Headers) => headers[name]?.toString() ?? '';
  return {
    'webhook-id': header('webhook-id'),
    'webhook-timestamp': header('webhook-timestamp'),
    'webhook-signature': header('webhook-signature'),
  };
}

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

const data = { document_id: 'doc_1', dataset_id: 'ds_1', filename: 'prêt – 準備完了 🎉.pdf' };
const timestamp = '2024-01-10T12:01:30Z';

/** Sends one event to a webhook of each of the formats; returns the requests, and the secret. */
async function deliver(
  sender: Service,
  name: string,
  formats: readonly RequestFormat[],
): Promise<Record<string, { received: Received; secret: string }>> {
  const secrets = new Map<RequestFormat, string>();
  for (const format of formats)
    secrets.set(format, (await sender.newWebhook(`${receiver.url}/${name}/${format}`, { format })).secret);
  await sender.publish({ id: `evt_${name}`, event: 'document.uploaded', timestamp, data });
  const arrived = await until(
    () => receiver.requests.filter(({ path }) => path.startsWith(`/${name}/`)),
    ({ length }) => length === formats.length,
  );
  return Object.fromEntries(
    formats.map((format) => {
      const received = arrived.find(({ path }) => path === `/${name}/${format}`);
      if (!received) throw new Error(`Nothing arrived in the format ${format}`);
      return [format, { received, secret: secrets.get(format) ?? '' }];
    }),
  );
}

const type = 'document.uploaded';
const bodies: Record<Exclude<RequestFormat, 'slack' | 'cloudevents'>, (id: string) => unknown> = {
  fltr: (id) => ({ id, event: type, timestamp, data }),
  standard: (id) => ({ id, type, timestamp, data }),
  data: () => data,
};

describe('a service with names of its own', () => {
  let acme: Service;
  let sent: Awaited<ReturnType<typeof deliver>>;
  beforeAll(async () => {
    acme = await startService({ FLTR_HEADER_PREFIX: 'X-Acme-', FLTR_USER_AGENT: 'Acme-Webhooks/2.1' });
    sent = await deliver(acme, 'acme', requestFormats);
  }, 60_000);
  afterAll(() => stopAll(acme));

  it('sends its own names only', () => {
    for (const { received } of Object.values(sent)) {
      expect(received.headers['user-agent']).toBe('Acme-Webhooks/2.1');
      expect(received.headers['x-acme-event']).toBe(type);
      expect(JSON.stringify(received.headers).toLowerCase()).not.toContain('fltr');
    }
  });

  describe.each(libraries)('verified by $name', ({ verify }) => {
    it.each(requestFormats)('in the format %s', async (format) => {
      const { received, secret: key } = sent[format] ?? {};
      if (!received || key === undefined) throw new Error('Nothing arrived');
      const read = await verify(key, headersOf(received), received.body);
      expect(read).toEqual(JSON.parse(received.body.toString()));
      if (format in bodies) expect(read).toEqual(bodies[format as keyof typeof bodies]('evt_acme'));
      const changed = Buffer.concat([received.body, Buffer.from(' ')]);
      await expect(verify(key, headersOf(received), changed)).rejects.toThrow(/No matching signature/);
    });
  });

  it('is a CloudEvent for the SDK of CloudEvents', async () => {
    const { received } = sent['cloudevents'] ?? {};
    const event = await runPython(readCloudEvent, {
      headers: received?.headers,
      body: received?.body.toString(),
    });
    expect(event).toEqual({
      attributes: {
        specversion: '1.0',
        id: 'evt_acme',
        source: `/accounts/${acme.accountId}`,
        type,
        time: '2024-01-10 12:01:30+00:00',
        datacontenttype: 'application/json',
      },
      data,
    });
  });

  it('any other format is none', async () => {
    const { received } = sent['standard'] ?? {};
    const read = runPython(readCloudEvent, { headers: received?.headers, body: received?.body.toString() });
    await expect(read).rejects.toThrow(/specversion|source/);
  });
});

describe.each(['standard', 'fltr'] as const)('FLTR_SIGNATURES=%s alone', (kind) => {
  let alone: Service;
  let sent: Awaited<ReturnType<typeof deliver>>;
  beforeAll(async () => {
    alone = await startService({ FLTR_SIGNATURES: kind, FLTR_HEADER_PREFIX: 'Acme-' });
    sent = await deliver(alone, kind, ['standard']);
  }, 60_000);
  afterAll(() => stopAll(alone));

  const verifiedHere = (signatures: readonly ('fltr' | 'standard')[]) => () => {
    const { received, secret: key = '' } = sent['standard'] ?? {};
    const { headers: given = {}, body: text = '' } = received ?? {};
    return verifyHere<unknown>({
      headers: given,
      body: text,
      secret: key,
      signatures,
      headerPrefix: 'Acme-',
    });
  };

  it('verify() accepts it where that one is needed, and refuses it where the other is', () => {
    expect(verifiedHere([kind])()).toEqual(bodies.standard(`evt_${kind}`));
    expect(verifiedHere(['fltr', 'standard'])).toThrow(/is missing/);
  });

  it.each(libraries)('$name verifies it only if it has the signature', async ({ verify }) => {
    const { received, secret: key = '' } = sent['standard'] ?? {};
    if (!received) throw new Error('Nothing arrived');
    const verifying = verify(key, headersOf(received), received.body);
    if (kind === 'standard') expect(await verifying).toEqual(bodies.standard(`evt_${kind}`));
    else await expect(verifying).rejects.toThrow(/Missing required headers/i);
  });
});
