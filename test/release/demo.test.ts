import { expect, onTestFinished, test, vi } from 'vitest';
import { startDemoReceiver, type DemoRequest } from '../../src/cli/demo-receiver.ts';
import { attemptHeaders, toHeaderStyle } from '../../src/domain/request-headers.ts';
import { newSecret } from '../../src/domain/signature.ts';
import { startProcess } from '../kit/process.ts';

vi.setConfig({ testTimeout: 180_000 });

test.each([
  {},
  { FLTR_HEADER_PREFIX: 'X-Acme-', FLTR_USER_AGENT: 'Acme 1', FLTR_SIGNATURES: 'fltr' },
  { FLTR_SIGNATURES: 'standard' },
])('the demo delivers and verifies everything, with the names of %j', async (settings) => {
  const demo = startProcess(['demo'], settings);
  onTestFinished(() => demo.kill('SIGTERM'));
  const code = await demo.exited();
  expect(demo.output()).toContain('As expected: 21 deliveries in 35 attempts, all signatures valid');
  expect(code).toBe(0);
});

test('the receiver of the demo refuses requests that are not signed or named by the settings', async () => {
  const secret = newSecret();
  const seen: DemoRequest[] = [];
  const expected = {
    header_prefix: 'X-Acme-',
    user_agent: 'Acme 1',
    signatures: ['fltr', 'standard'] as const,
  };
  const receiver = await startDemoReceiver(
    { ...expected, signatures: [...expected.signatures] },
    (request) => {
      seen.push(request);
    },
  );
  onTestFinished(() => receiver.close());
  receiver.serve('named', secret, () => 200);
  const body = Buffer.from('{"id":"evt_1","event":"order.paid"}');
  const headersWith = (prefix: string, key: string) =>
    attemptHeaders({
      style: toHeaderStyle({ prefix, userAgent: 'Acme 1', signatures: expected.signatures }),
      format: 'fltr',
      eventId: 'evt_1',
      eventType: 'order.paid',
      attemptId: 'att_1',
      at: new Date(),
      body,
      secrets: { body: key, standard: [key] },
    });
  const statusOf = async (headers: Record<string, string>) =>
    (await fetch(`${receiver.origin}/named`, { method: 'POST', headers, body })).status;
  expect(await statusOf(headersWith('X-Acme-', secret))).toBe(200);
  expect(await statusOf(headersWith('X-Acme-', newSecret()))).toBe(401);
  expect(await statusOf(headersWith('X-Other-', secret))).toBe(401);
  expect(seen.map(({ faults }) => faults)).toEqual([
    [],
    ['X-Acme-Signature is wrong', 'webhook-signature is wrong'],
    ['X-Acme-Signature is wrong', 'X-Acme-Event is not order.paid'],
  ]);
});
