import { afterAll, beforeAll, expect, test } from 'vitest';
import { call, startService, type Service } from '../kit/service.ts';

/** The limits of a policy at their edges: the last legal value, and the first illegal one with what its caller reads. */
let service: Service;
beforeAll(async () => {
  service = await startService({}, 'api');
});
afterAll(() => service.stop());

type Policy = Record<string, unknown>;
type Response = Record<string, unknown> & {
  webhook_id: string;
  errors: { pointer: string; message: string }[];
};
type Edge = [name: string, legal: Policy[], refused: [policy: Policy, pointer: string, message: string][]];

const day = 86_400;
const waits = (...schedule_seconds: number[]) => ({ retry: { schedule_seconds } });
const same = (count: number, seconds: number) => Array<number>(count).fill(seconds);
const retry = (more: Policy) => ({ retry: { preset: 'day', ...more } });
const rate = (attempts: number, seconds: number) => ({ rate_limit: { attempts, seconds } });
const names = (count: number) => ({
  headers: Object.fromEntries(Array.from({ length: count }, (_, index) => [`X-${index}`, 'v'])),
});
/** Headers with so many bytes in all, as a request has them. */
const bytes = (size: number) => ({ headers: { 'X-A': 'v'.repeat(100), 'X-B': 'v'.repeat(size - 114) } });
const condition = { path: '/data/v', op: 'eq', value: 1 };
const levels = (count: number): unknown => (count === 1 ? condition : { not: levels(count - 1) });
const conditions = (count: number) => ({ filter: { any: Array.from({ length: count }, () => condition) } });
const bearer = (length: number) => ({ auth: { type: 'bearer', token: 't'.repeat(length) } });
/** As responses have it. */
function shown({ headers, auth, ...policy }: Policy): Policy {
  const set = Object.keys(headers ?? {}).map((name) => [name, { set: true }]);
  return {
    ...policy,
    ...(headers === undefined ? {} : { headers: Object.fromEntries(set) }),
    ...(auth === undefined ? {} : { auth: { type: (auth as Policy)['type'] } }),
  };
}
const reserved = 'is set by the service or by HTTP. Choose another name';

const edges: Edge[] = [
  [
    'waits of a schedule',
    [waits(), waits(...same(20, 1))],
    [[waits(...same(21, 1)), '/retry/schedule_seconds', 'retry.schedule_seconds must have at most 20 waits']],
  ],
  [
    'a wait',
    [waits(1), waits(day)],
    [
      [waits(0), '/retry/schedule_seconds/0', 'retry.schedule_seconds[0] must be 1 or more'],
      [waits(1, day + 1), '/retry/schedule_seconds/1', 'retry.schedule_seconds[1] must be 86,400 or less'],
      [waits(1.5), '/retry/schedule_seconds/0', 'retry.schedule_seconds[0] must be a whole number'],
    ],
  ],
  [
    'a schedule in all',
    [waits(...same(8, day))],
    [
      [
        waits(...same(8, day), 1),
        '/retry/schedule_seconds',
        'retry.schedule_seconds must last at most 8 days in all',
      ],
    ],
  ],
  [
    'preset and schedule',
    [{ retry: { preset: 'week' } }],
    [
      [retry({ schedule_seconds: [1] }), '/retry', 'retry must have either preset or schedule_seconds'],
      [{ retry: { jitter: 0 } }, '/retry', 'retry must have either preset or schedule_seconds'],
      [
        { retry: { preset: 'month' } },
        '/retry/preset',
        'retry.preset must be one of page, day, three_days, week, none',
      ],
    ],
  ],
  [
    'also',
    [retry({ also: ['408', '425', '429', '4xx'] })],
    [
      [retry({ also: ['404'] }), '/retry/also/0', 'retry.also[0] must be one of 408, 425, 429, 4xx'],
      [retry({ also: ['429', '429'] }), '/retry/also', 'retry.also must not name a status twice'],
    ],
  ],
  [
    'on_gone',
    [retry({ on_gone: 'fail' }), retry({ on_gone: 'disable' })],
    [[retry({ on_gone: 'delete' }), '/retry/on_gone', 'retry.on_gone must be one of fail, disable']],
  ],
  [
    'jitter',
    [retry({ jitter: 0 }), retry({ jitter: 0.2 })],
    [
      [retry({ jitter: -0.001 }), '/retry/jitter', 'retry.jitter must be 0 or more'],
      [retry({ jitter: 0.201 }), '/retry/jitter', 'retry.jitter must be 0.2 or less'],
    ],
  ],
  [
    'timeout_ms',
    [{ timeout_ms: 1000 }, { timeout_ms: 30_000 }],
    [
      [{ timeout_ms: 999 }, '/timeout_ms', 'timeout_ms must be 1,000 or more'],
      [{ timeout_ms: 30_001 }, '/timeout_ms', 'timeout_ms must be 30,000 or less'],
      [{ timeout_ms: 1000.5 }, '/timeout_ms', 'timeout_ms must be a whole number'],
    ],
  ],
  [
    'headers',
    [names(20), bytes(8192)],
    [
      [names(21), '/headers', 'headers must have at most 20 headers'],
      [
        bytes(8193),
        '/headers',
        'headers must have at most 8 KiB (8192 bytes) of names and values in all, with 4 more for each header',
      ],
      [{ headers: { Host: 'a' } }, '/headers/Host', `headers.Host ${reserved}`],
      [{ headers: { 'x-fltr-event': 'a' } }, '/headers/x-fltr-event', `headers.x-fltr-event ${reserved}`],
      [{ headers: { 'webhook-id': 'a' } }, '/headers/webhook-id', `headers.webhook-id ${reserved}`],
    ],
  ],
  [
    'a secret of auth',
    [bearer(1), bearer(8192)],
    [
      [bearer(0), '/auth/token', 'auth.token must not be empty'],
      [bearer(8193), '/auth/token', 'auth.token must have at most 8,192 characters'],
      [{ auth: { type: 'digest' } }, '/auth/type', 'auth.type must be basic, bearer, oauth2 or mtls'],
    ],
  ],
  [
    'a filter',
    [{ filter: levels(5) }, conditions(50)],
    [
      [
        { filter: levels(6) },
        '/filter/not/not/not/not/not',
        'filter.not.not.not.not.not must not nest deeper than 5 levels',
      ],
      [conditions(51), '/filter', 'filter must have at most 50 conditions'],
    ],
  ],
  [
    'rate_limit',
    [rate(1, 1), rate(10_000, 1), rate(1, 3600), rate(10_000, 3600)],
    [
      [rate(0, 1), '/rate_limit/attempts', 'rate_limit.attempts must be 1 or more'],
      [rate(10_001, 3600), '/rate_limit/attempts', 'rate_limit.attempts must be 10,000 or less'],
      [rate(1, 0), '/rate_limit/seconds', 'rate_limit.seconds must be 1 or more'],
      [rate(1, 3601), '/rate_limit/seconds', 'rate_limit.seconds must be 3,600 or less'],
    ],
  ],
  [
    'max_concurrent',
    [{ max_concurrent: 1 }, { max_concurrent: 100 }],
    [
      [{ max_concurrent: 0 }, '/max_concurrent', 'max_concurrent must be 1 or more'],
      [{ max_concurrent: 101 }, '/max_concurrent', 'max_concurrent must be 100 or less'],
    ],
  ],
  [
    'signatures',
    [{ signatures: ['v1'] }, { signatures: ['v1a', 'v1'] }],
    [
      [{ signatures: [] }, '/signatures', 'signatures must name at least one version'],
      [{ signatures: ['v1', 'v2'] }, '/signatures/1', 'signatures[1] must be one of v1, v1a'],
    ],
  ],
];

test.each(edges)('%s: accepted up to the edge, refused beyond it with what to do', async (_name, ...sets) => {
  const [legal, refused] = sets;
  const { key } = await service.newAccount();
  const body = { url: 'https://example.com/', events: ['*'] };
  const send = (method: string, path: string, policy: Policy) =>
    call<Response>(service.apiUrl, key, method, path, { ...body, ...policy });
  const { webhook_id: id } = (await send('POST', '/v1/webhooks', {})).body;
  /** Creates, changes and replaces a webhook. */
  const calls = [
    ['POST', '/v1/webhooks', 201],
    ['PATCH', `/v1/webhooks/${id}`, 200],
    ['PUT', '/v1/webhooks/replaced', 200],
  ] as const;
  await send('PUT', '/v1/webhooks/replaced', {});
  for (const [method, path, status] of calls) {
    for (const policy of legal) {
      const accepted = await send(method, path, policy);
      expect([method, accepted.status, accepted.body]).toEqual([
        method,
        status,
        expect.objectContaining(shown(policy)),
      ]);
      // Headers of a change are added to those that the webhook has.
      if (method === 'PATCH') await send(method, path, { headers: null });
    }
    for (const [policy, pointer, message] of refused) {
      const { status: code, body: problem } = await send(method, path, policy);
      expect([method, code, problem.errors]).toEqual([method, 422, [{ pointer, message }]]);
    }
  }
});

test('labels of an event: ten of 100 characters, refused beyond that with what to do', async () => {
  const many = (count: number) => Array.from({ length: count }, (_, index) => `label ${index}`);
  const { webhook_id: id } = await service.newWebhook('https://example.com/');
  const event = { event: 'document.deleted', data: { document_id: 'd', dataset_id: 's' } };
  for (const [path, status] of [
    ['/v1/events', 202],
    [`/v1/webhooks/${id}/match`, 200],
  ] as const) {
    const send = (labels: string[]) => service.call<Response>('POST', path, { ...event, labels });
    for (const labels of [many(10), ['x'.repeat(100)]]) expect((await send(labels)).status).toBe(status);
    const refusals = await Promise.all([many(11), ['x'.repeat(101)], [''], ['a', 'a']].map(send));
    expect(refusals.map(({ status: code, body }) => [code, body.errors])).toEqual([
      [422, [{ pointer: '/labels', message: 'labels must have at most 10 labels' }]],
      [422, [{ pointer: '/labels/0', message: 'labels[0] must have at most 100 characters' }]],
      [422, [{ pointer: '/labels/0', message: 'labels[0] must not be empty' }]],
      [422, [{ pointer: '/labels', message: 'labels must not name a label twice' }]],
    ]);
  }
});
