import { expect, test } from 'vitest';
import { auditActions, type AuditRecord } from '../../src/contracts/audit.ts';
import { sentenceOf } from '../../src/dashboard/audit-text.ts';

const record = (change: Partial<AuditRecord>): AuditRecord => ({
  id: 'aud_1',
  action: 'webhook.updated',
  actor: { type: 'key', id: 'key_1', name: 'Operations' },
  target: { id: 'wh_1', name: 'https://example.com/' },
  fields: [],
  created_at: '2026-01-10T12:00:00.000Z',
  ...change,
});
const textOf = (change: Partial<AuditRecord>) => {
  const { actor, verb, end } = sentenceOf(record(change));
  return `${actor} ${verb} X${end}`;
};

test('a record is a sentence with the requester, the action, and the changed fields or the reason', () => {
  expect(textOf({ fields: ['url', 'events'] })).toBe('Key “Operations” changed the webhook X: url, events');
  expect(textOf({ action: 'webhook.secret_read', actor: { type: 'key', id: 'key_1', name: null } })).toBe(
    'Key key_1 revealed the secret of the webhook X',
  );
  const service = (id: string) => ({ type: 'service', id, name: null }) as const;
  expect(textOf({ action: 'webhook.disabled', actor: service('auto-disable') })).toBe(
    'The service disabled the webhook X because too many deliveries failed',
  );
  expect(textOf({ action: 'webhook.disabled', actor: service('gone') })).toMatch(/returned 410/);
  expect(textOf({ action: 'webhook.resumed', actor: service('pause') })).toMatch(/at the end of its pause$/);
  expect(
    textOf({ action: 'operation.created', actor: { type: 'service_key', id: 'key_2', name: null } }),
  ).toBe('A service key started the operation X');
});

test('an unknown action is shown as it is, and each known one in words', () => {
  expect(textOf({ action: 'new.thing' })).toBe('Key “Operations” new.thing X');
  for (const action of auditActions) expect(sentenceOf(record({ action })).verb).not.toContain('.');
});
