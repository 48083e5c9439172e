import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { createPayloadBox } from '../../src/security/payload-box.ts';
import { UnopenableError } from '../../src/security/secret-box.ts';

const keys = { old: { id: 'old', key: randomBytes(32) }, new: { id: 'new', key: randomBytes(32) } };
const box = createPayloadBox([keys.new, keys.old], true);
const context = 'body:acc_1:evt_1';

test.each([0, 1, 15, 16, 17, 256 * 1024])('%i bytes are sealed and opened again', (length) => {
  const plain = randomBytes(length);
  const sealed = box.seal(plain, context);
  expect(box.open(sealed, context).equals(plain)).toBe(true);
  expect(sealed.length).toBe(length + 2 + 'new'.length + 12 + 16);
  if (length > 15) expect(sealed.includes(plain.subarray(0, 16))).toBe(false);
});

test('the same bytes are sealed differently each time, and begin with a byte that no JSON text begins with', () => {
  const plain = Buffer.from('{"id":"evt_1"}');
  const [one, other] = [box.seal(plain, context), box.seal(plain, context)];
  expect(one).not.toEqual(other);
  expect([one[0], one.toString('utf8', 2, 5)]).toEqual([1, 'new']);
});

test('the first key seals, all of them open; the error of a missing or wrong key names it', () => {
  const sealed = createPayloadBox([keys.old], true).seal(Buffer.from('text'), context);
  expect(box.open(sealed, context).toString()).toBe('text');
  expect(() => createPayloadBox([keys.new], true).open(sealed, context)).toThrow(/with key "old"/);
  const wrong = createPayloadBox([{ id: 'old', key: randomBytes(32) }], true);
  expect(() => wrong.open(sealed, context)).toThrow(UnopenableError);
});

test('bytes that belong to another row, were changed or were cut off are not opened', () => {
  const sealed = box.seal(Buffer.from('a text of some length'), context);
  for (const other of ['body:acc_1:evt_2', 'body:acc_2:evt_1', 'response-body:acc_1:evt_1', ''])
    expect(() => box.open(sealed, other)).toThrow(UnopenableError);
  for (let position = 0; position < sealed.length; position += 1) {
    const changed = Buffer.from(sealed);
    changed[position] = (changed[position] ?? 0) ^ 1;
    expect(() => box.open(changed, context), `byte ${position}`).toThrow(UnopenableError);
    expect(() => box.open(sealed.subarray(0, position), context), `cut at ${position}`).toThrow(
      UnopenableError,
    );
  }
});
