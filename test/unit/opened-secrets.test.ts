import { beforeEach, expect, test, vi } from 'vitest';
import { createOpenedSecrets } from '../../src/security/opened-secrets.ts';
import { createSecretBox, UnopenableError } from '../../src/security/secret-box.ts';
import { useFakeClock } from '../kit/fake-clock.ts';

const minuteMs = 60_000;
const box = createSecretBox([{ id: 'k1', key: Buffer.alloc(32, 1) }]);

beforeEach(useFakeClock);

function counting() {
  const opened: string[] = [];
  const secrets = createOpenedSecrets((sealed, context) => {
    opened.push(sealed);
    return box.open(sealed, context);
  });
  return { secrets, opened };
}

test('a sealed secret is opened once a minute, however often it signs', () => {
  const { secrets, opened } = counting();
  const sealed = box.seal('whsec_one', 'wh_1');
  for (let n = 0; n < 60; n += 1) {
    expect(secrets.open(sealed, 'wh_1')).toBe('whsec_one');
    vi.advanceTimersByTime(minuteMs / 60 - 1);
  }
  expect(opened).toHaveLength(1);
  vi.advanceTimersByTime(62);
  expect(secrets.count()).toBe(0);
  expect(secrets.open(sealed, 'wh_1')).toBe('whsec_one');
  expect(opened).toHaveLength(2);
});

test('an opened secret that is not used again is out of memory after a minute', () => {
  const { secrets } = counting();
  for (const id of ['wh_1', 'wh_2']) {
    secrets.open(box.seal('whsec_one', id), id);
    vi.advanceTimersByTime(minuteMs / 2 + 2);
  }
  expect(secrets.count()).toBe(1);
  vi.advanceTimersByTime(minuteMs / 2);
  expect(secrets.count()).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
});

test('a secret that was opened for one webhook is not given to another one', () => {
  const { secrets } = counting();
  const sealed = box.seal('whsec_one', 'wh_1');
  expect(secrets.open(sealed, 'wh_1')).toBe('whsec_one');
  expect(() => secrets.open(sealed, 'wh_2')).toThrow(UnopenableError);
  expect(secrets.open(sealed, 'wh_1')).toBe('whsec_one');
});

test('a secret that cannot be opened is refused every time, and not remembered', () => {
  const { secrets, opened } = counting();
  const foreign = createSecretBox([{ id: 'k1', key: Buffer.alloc(32, 2) }]).seal('whsec_one', 'wh_1');
  for (let n = 0; n < 3; n += 1) expect(() => secrets.open(foreign, 'wh_1')).toThrow(UnopenableError);
  expect(opened).toHaveLength(3);
  expect(secrets.count()).toBe(0);
});

test('a rotated secret is another one at once', () => {
  const { secrets } = counting();
  const [old, current] = ['whsec_old', 'whsec_new'].map((secret) => box.seal(secret, 'wh_1'));
  expect(secrets.open(old ?? '', 'wh_1')).toBe('whsec_old');
  expect(secrets.open(current ?? '', 'wh_1')).toBe('whsec_new');
  expect(secrets.open(old ?? '', 'wh_1')).toBe('whsec_old');
});

test('at most a thousand are in memory', () => {
  const { secrets, opened } = counting();
  const sealed = Array.from({ length: 1001 }, (_, n) => box.seal(`whsec_${n}`, `wh_${n}`));
  sealed.forEach((text, n) => expect(secrets.open(text, `wh_${n}`)).toBe(`whsec_${n}`));
  expect(secrets.count()).toBe(1000);
  expect(secrets.open(sealed[1000] ?? '', 'wh_1000')).toBe('whsec_1000');
  expect(opened).toHaveLength(1001);
  expect(secrets.open(sealed[0] ?? '', 'wh_0')).toBe('whsec_0');
  expect(opened).toHaveLength(1002);
});

test('the box remembers for signing alone', () => {
  const sealed = box.seal('whsec_one', 'wh_1');
  expect(box.openToSign(sealed, 'wh_1')).toBe('whsec_one');
  expect(box.openToSign(sealed, 'wh_1')).toBe('whsec_one');
  expect(() => box.openToSign(sealed, 'wh_2')).toThrow(UnopenableError);
  vi.advanceTimersByTime(minuteMs + 2);
  expect(vi.getTimerCount()).toBe(0);
  expect(box.open(sealed, 'wh_1')).toBe('whsec_one');
  expect(vi.getTimerCount()).toBe(0);
});
