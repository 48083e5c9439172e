import { expect, test } from 'vitest';
import { publishSnippets, receiverSnippets } from '../../src/dashboard/pages/webhooks/first-run/snippets.ts';

const textsOf = (url: string) => receiverSnippets(url, 'whsec_a+/=')?.map(({ text }) => text);

test('an example receiver listens on the port of the URL', () => {
  expect(textsOf('http://localhost:5000/webhooks/fltr')).toEqual([
    `WEBHOOK_SECRET='whsec_a+/=' node examples/express/server.mjs`,
    expect.stringMatching(/ && WEBHOOK_SECRET='whsec_a\+\/=' \.venv\/bin\/python app\.py$/),
    `cd examples/go && WEBHOOK_SECRET='whsec_a+/=' go run .`,
  ]);
  expect(textsOf('http://127.0.0.1:4000/webhooks/standard')?.[0]).toBe(
    `PORT=4000 WEBHOOK_SECRET='whsec_a+/=' node examples/express/server.mjs`,
  );
});

test('there is no example for another host, path or scheme', () => {
  for (const url of [
    'https://your-app.com/webhooks/fltr',
    'http://localhost/webhooks/fltr',
    'https://localhost:5000/webhooks/fltr',
    'http://localhost:5000/webhooks/fltr/more',
    'http://localhost:5000/',
  ])
    expect(textsOf(url), url).toBeUndefined();
});

test('the published event is the same in each language, and no text of it ends its quotes', () => {
  const data = { name: `it's "'''" \\ $(id) \`id\``, more: { lines: 'a\nb' } };
  const publishing = { origin: 'http://127.0.0.1:3000', apiKey: 'fltr_key', event: 'document.deleted', data };
  const texts = publishSnippets(publishing).map(({ text }) => text);
  expect(texts).toHaveLength(3);
  for (const text of texts) expect(text).toContain('Bearer fltr_key');
  expect(texts[0]).toContain(`it'\\''s`);
  const inPython = /r'''(.*?)'''/s.exec(texts[2] ?? '')?.[1] ?? '';
  expect(JSON.parse(inPython)).toEqual({ event: 'document.deleted', data });
  const inTypeScript = /stringify\((.*)\),\n}\);/s.exec(texts[1] ?? '')?.[1] ?? '';
  expect(JSON.parse(inTypeScript)).toEqual({ event: 'document.deleted', data });
});
