import { expect, test } from 'vitest';
import type { Account } from '../../src/contracts/account.ts';
import { accountDraftOf, emptyAccountDraft, readAccountDraft } from '../../src/dashboard/account-draft.ts';

const read = (draft: object) => readAccountDraft({ ...emptyAccountDraft, id: 'acme', ...draft });

test('an empty field means the default, and no name leaves it as it is', () => {
  expect(read({})).toEqual({
    change: { metadata: {}, limits: { max_webhooks: null, deliveries_per_hour: null } },
  });
  expect(
    read({ name: ' Acme ', metadata: 'plan=pro\n\n a = b=c ', maxWebhooks: '5', deliveriesPerHour: '0' }),
  ).toEqual({
    change: {
      name: 'Acme',
      metadata: { plan: 'pro', a: 'b=c' },
      limits: { max_webhooks: 5, deliveries_per_hour: 0 },
    },
  });
});

test.each([
  ['id', { id: '' }],
  ['id', { id: 'a/b' }],
  ['id', { id: 'a'.repeat(65) }],
  ['metadata', { metadata: 'no value' }],
  ['metadata', { metadata: '=x' }],
  ['metadata', { metadata: 'a=1\na=2' }],
  ['maxWebhooks', { maxWebhooks: '1.5' }],
  ['deliveriesPerHour', { deliveriesPerHour: '-1' }],
])('a fault of %s is at its field', (field, draft) => {
  expect(Object.keys(read(draft).faults ?? {})).toEqual([field]);
});

test('an account that was read and not edited is not changed', () => {
  const account = {
    id: 'acme',
    name: 'Acme',
    metadata: { plan: 'pro', url: 'a=b' },
    limits: { max_webhooks: 5, deliveries_per_hour: null },
  } as unknown as Account;
  const { metadata, limits, name } = account;
  expect(readAccountDraft(accountDraftOf(account))).toEqual({ change: { name, metadata, limits } });
});
