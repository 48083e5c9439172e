import { expect, test } from 'vitest';
import { readConfig } from '../../src/config.ts';

const read = (text: string) => readConfig({ FLTR_OUTBOX_URLS: text }).FLTR_OUTBOX_URLS;

test('outboxes are named after their databases, each once', () => {
  expect(read('')).toEqual([]);
  expect(read('service, postgres://u:p%2C@one/shop,postgresql://two/shop,postgres://three/service')).toEqual([
    { name: 'service', databaseUrl: null },
    { name: 'shop', databaseUrl: 'postgres://u:p%2C@one/shop' },
    { name: 'shop 2', databaseUrl: 'postgresql://two/shop' },
    { name: 'service 2', databaseUrl: 'postgres://three/service' },
  ]);
  const sixteen = Array.from({ length: 16 }, (_, number) => `postgres://host/shop${number}`).join();
  expect(read(sixteen)).toHaveLength(16);
  expect(() => read(`${sixteen},service`)).toThrow('FLTR_OUTBOX_URLS must list at most 16 databases');
});

test.each([
  ['elsewhere', 'must start with postgres://'],
  ['service,service', 'lists a database twice'],
  ['postgres://one/shop,postgres://one/shop', 'lists a database twice'],
  ['postgres://user:se#cret@host/shop', 'percent-encode special characters'],
  ['service,', 'must list `service` and URLs'],
])('%s is refused, without its password', (text, words) => {
  expect(() => read(text)).toThrow(words);
  expect(() => read(text)).not.toThrow('cret');
});
