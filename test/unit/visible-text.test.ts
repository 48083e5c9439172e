import { expect, test } from 'vitest';
import { fields } from '../../src/cli/text-output.ts';
import { printable, printableJson, printableLines } from '../../src/cli/printable.ts';
import { indentJson } from '../../src/client/raw-json.ts';
import { table } from '../../src/cli/table.ts';
import { attemptText } from '../../src/cli/webhook-commands.ts';
import { createKeySchema } from '../../src/contracts/key.ts';
import { nameSchema } from '../../src/contracts/visible-text.ts';
import { createWebhookSchema, updateWebhookSchema } from '../../src/contracts/webhook.ts';

/** All of Unicode's control characters, separators of lines and paragraphs, and marks of direction. */
const hidden = Array.from({ length: 0x10000 }, (_, code) => String.fromCharCode(code)).filter((character) =>
  /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u.test(character),
);
const visible = ['My company', 'Größe', 'שלום', 'العربية', '日本語', '👩‍👩‍👧 🏴󠁧󠁢󠁥󠁮󠁧󠁿', 'O\'Neil & "sons" <b>'];
const forged = '\u001b]0;PWNED\u0007\u001b[2J\u001b[31mhello\r\nkey_x  fltr_fake\u202e\u2028\u009b1m';
const url = 'https://example.com/';

test('names and descriptions hold no hidden character, wherever one stands', () => {
  expect(hidden.length).toBeGreaterThan(75);
  const scopes = ['webhooks:read'];
  for (const text of [...hidden.flatMap((each) => [each, `a${each}`, `${each}b`, `a${each}b`]), forged]) {
    const accepted = [
      nameSchema.safeParse(text),
      createKeySchema.safeParse({ name: text, scopes }),
      createWebhookSchema.safeParse({ url, events: ['*'], description: text }),
      updateWebhookSchema.safeParse({ description: text }),
    ].map(({ success }) => success);
    expect([JSON.stringify(text), accepted]).toEqual([JSON.stringify(text), [false, false, false, false]]);
  }
  for (const text of visible) {
    expect(nameSchema.parse(text)).toBe(text);
    expect(createWebhookSchema.parse({ url, events: ['*'], description: text }).description).toBe(text);
  }
});

test('foreign text in the output of a command neither controls the terminal nor forges a line', () => {
  const attempt = {
    id: 'att_1',
    number: 1,
    started_at: '2026-01-10T12:00:00Z',
    duration_ms: 1,
    status_code: null,
    outcome: 'failed',
    error: { code: forged, message: forged },
    request: { method: 'POST', url, headers: {}, body_bytes: 0 },
    response: null,
  } as const;
  const lines = [
    table([{ name: forged, id: 'key_1' }])
      .split('\n')
      .slice(1)
      .join('\n'),
    fields({ name: forged }),
    attemptText(attempt as unknown as Parameters<typeof attemptText>[0]),
    printable(hidden.join('')),
    printable(forged),
  ];
  for (const line of lines)
    expect(
      hidden.filter((character) => line.includes(character)).map((each) => JSON.stringify(each)),
    ).toEqual([]);
  for (const text of visible) expect(printable(text)).toBe(text);
  // Columns stay aligned.
  const [head = '', row = ''] = table([{ name: forged, id: 'key_1' }]).split('\n');
  expect(row.indexOf('key_1')).toBe(head.indexOf('ID'));
});

test('lines that are put together keep their breaks and colors, and nothing else', () => {
  expect(printableLines('a\n\u001b[31mred\u001b[39m\nb')).toBe('a\n\u001b[31mred\u001b[39m\nb');
  expect(printableLines('a\r\u001b]0;x\u0007\u001b[2J\u009b31m\u202eb')).toBe('a??]0;x??[2J?31m?b');
});

test('JSON for programs has no hidden character, and means the same', () => {
  const value = { [forged]: hidden.join(''), list: [forged] };
  for (const text of [printableJson(value), indentJson(printableJson(value))]) {
    const left = hidden.filter((character) => character !== '\n' && text.includes(character));
    expect(left.map((each) => JSON.stringify(each))).toEqual([]);
    expect(JSON.parse(text)).toEqual(value);
  }
});
