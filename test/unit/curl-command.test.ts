import { expect, test } from 'vitest';
import { curlCommand } from '../../src/domain/curl-command.ts';

const request = {
  url: 'https://example.com/webhooks',
  headers: { 'X-Event': 'order.paid' },
  body: '{"n":1}',
  hasClientCertificate: false,
};

test('a request is a command of one line each for the URL, the headers and the body', () => {
  expect(curlCommand(request)).toBe(
    [
      "curl --include --globoff --request POST 'https://example.com/webhooks' \\",
      "  --header 'X-Event: order.paid' \\",
      `  --data-raw '{"n":1}'`,
    ].join('\n'),
  );
  expect(curlCommand({ ...request, hasClientCertificate: true })).toContain(
    "--cert '<certificate.pem>' --key '<key.pem>' \\",
  );
});

test('a quote ends no word', () => {
  expect(curlCommand({ ...request, body: `it's '; touch x; '` })).toContain(
    `--data-raw 'it'\\''s '\\''; touch x; '\\'''`,
  );
});

test.each([
  ['a character that deletes', '\u007f', '\\0177'],
  ['a control character of two bytes', '\u009b', '\\0302\\0233'],
  ['a mark that turns text around', '\u202e', '\\0342\\0200\\0256'],
])('a body with %s is written by printf, byte by byte', (_name, character, octal) => {
  const command = curlCommand({ ...request, body: `{"a":"\\n${character}%s"}` });
  expect(command).toMatch(/ \\\n {2}--data-binary @-$/);
  expect(command.split(' | ')[0]).toBe(`printf %b '{"a":"\\\\n${octal}%s"}'`);
});

test('a body that is longer than an argument may be is read from standard input', () => {
  expect(curlCommand({ ...request, body: 'x'.repeat(100_000) })).toContain('--data-raw');
  expect(curlCommand({ ...request, body: 'é'.repeat(50_001) })).toMatch(/^printf %b 'é+' \| curl /);
});
