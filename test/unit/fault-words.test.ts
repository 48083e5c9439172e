import { expect, test } from 'vitest';
import { validate } from '../../src/api/request-body.ts';
import { routes } from '../../src/api/routes/route-table.ts';
import { eventDataSchemas } from '../../src/contracts/event-types.ts';
import { createKeySchema } from '../../src/contracts/key.ts';
import { subjectOf } from '../../src/contracts/problem.ts';
import { recoverWebhookSchema } from '../../src/contracts/recovery.ts';
import { createWebhookSchema, rotateSecretSchema, updateWebhookSchema } from '../../src/contracts/webhook.ts';
import { ApiError } from '../../src/errors.ts';

function refusal(...of: Parameters<typeof validate>): ApiError {
  try {
    validate(...of);
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
  throw new Error(`${JSON.stringify(of[1])} was accepted`);
}
const messages = (...of: Parameters<typeof validate>) => refusal(...of).errors?.map(({ message }) => message);

test('each fault is reported once, by the name of its field and in plain words', () => {
  const missing = refusal(eventDataSchemas['document.processed'], { document_id: 'd' }, '/data');
  expect([missing.message, missing.errors]).toEqual([
    'dataset_id is missing.',
    [{ pointer: '/data/dataset_id', message: 'dataset_id is missing' }],
  ]);
  expect(messages(eventDataSchemas['document.processing_failed'], { error: { code: 1 } }, '/data')).toEqual([
    'document_id is missing',
    'dataset_id is missing',
    'error.code must be text',
    'error.message is missing',
  ]);
  expect(messages(recoverWebhookSchema, { since: '2h', dry_run: 'yes', only: 'all' })).toEqual([
    'since must be a time such as 2024-01-10T12:01:30Z or 2024-01-10T13:01:30+01:00',
    'only must be one of failed, missed',
    'dry_run must be true or false',
  ]);
  expect(messages(updateWebhookSchema, {})).toEqual(['The body must change at least one field']);
  expect(messages(createWebhookSchema, [])).toEqual(['The body must be an object']);
  expect(messages(createWebhookSchema, { url: 'https://a.example', events: [], colour: 'red' })).toEqual([
    'events must name at least one type',
    'colour is not a known field',
  ]);
  expect(messages(createKeySchema, { name: '', scopes: [] })).toEqual([
    'name must not be empty',
    'scopes must name at least one',
  ]);
  expect(messages(rotateSecretSchema, { overlap_seconds: 604_801 })).toEqual([
    'overlap_seconds must be 604,800 or less',
  ]);
  expect(messages(rotateSecretSchema, { overlap_seconds: 0.5 })).toEqual([
    'overlap_seconds must be a whole number',
  ]);
});

test('the detail has three faults, and the number of the others', () => {
  const fields = Object.fromEntries(['a', 'b', 'c', 'd', 'e'].map((name) => [name, 1]));
  expect(refusal(createKeySchema, { name: 'n', scopes: ['events:write'], ...fields }).message).toBe(
    'a is not a known field; b is not a known field; c is not a known field; and 2 more.',
  );
});

test('a field is called by the end of its pointer', () => {
  expect(
    ['', '/url', '/data', '/data/a~1b', '/events/0', '#query/limit', '#header/X'].map(subjectOf),
  ).toEqual(['The body', 'url', 'data', 'a/b', 'events[0]', 'limit', 'X']);
});

const oddValues = [
  null,
  true,
  0.5,
  -1,
  1e99,
  '',
  'x',
  'x'.repeat(20_000),
  [],
  {},
  [null, {}],
  { a: { b: [1] } },
];

test('no response to a fault has the words of a validator', () => {
  const said = new Set<string>();
  for (const { body, query } of routes)
    for (const schema of [body, query].filter((each) => each !== undefined)) {
      const names = Object.keys((schema as unknown as { shape: Record<string, unknown> }).shape);
      const all = [...oddValues, ...names.flatMap((name) => oddValues.map((value) => ({ [name]: value })))];
      for (const value of all) {
        try {
          validate(schema, value);
        } catch (error) {
          if (!(error instanceof ApiError)) throw error;
          for (const { message } of error.errors ?? []) said.add(message);
        }
      }
    }
  expect(said.size).toBeGreaterThan(50);
  expect(
    [...said].filter((each) =>
      /expected|received|invalid|undefined|null|regex|option|ISO|is not valid|of the type/i.test(each),
    ),
  ).toEqual([]);
});
