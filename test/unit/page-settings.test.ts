import { expect, test } from 'vitest';
import { readConfig } from '../../src/config.ts';

test('the product has a name, and no logo of its own', () => {
  const config = readConfig({});
  expect([config.FLTR_PRODUCT_NAME, config.FLTR_LOGO_URL]).toEqual(['FLTR webhooks', undefined]);
});

test.each([
  ['FLTR_PRODUCT_NAME', 'Acme <Webhooks> & "more"'],
  ['FLTR_PRODUCT_NAME', 'x'.repeat(100)],
  ['FLTR_LOGO_URL', 'https://cdn.example.com:8443/logo.svg?v=2'],
  ['FLTR_LOGO_URL', 'data:image/svg+xml;base64,PHN2Zy8+'],
  ['FLTR_PUBLIC_URL', 'https://webhooks.example.com'],
  ['FLTR_PUBLIC_URL', 'http://localhost:3000'],
] as const)('%s may be %s', (name, value) => {
  expect(readConfig({ [name]: value })[name]).toBe(value);
});

test('a logo has at most 64 KiB', () => {
  const logo = (length: number) => ({ FLTR_LOGO_URL: 'data:image/png;base64,'.padEnd(length, 'A') });
  expect(readConfig(logo(65_536)).FLTR_LOGO_URL).toHaveLength(65_536);
  expect(() => readConfig(logo(65_537))).toThrow('FLTR_LOGO_URL must have at most 65536 characters');
});

test('the sites that may show the portal are a list of origins', () => {
  const read = (FLTR_PORTAL_FRAME_ANCESTORS?: string) =>
    readConfig({ FLTR_PORTAL_FRAME_ANCESTORS }).FLTR_PORTAL_FRAME_ANCESTORS;
  expect(read()).toEqual([]);
  const twenty = Array.from({ length: 20 }, (_, index) => `https://app${index}.example.com`);
  for (const list of [
    ['https://app.example.com', 'https://example.com:8443'],
    ['http://localhost:3000', 'http://app.localhost:3000', 'http://127.0.0.1', 'http://[::1]:3000'],
    twenty,
  ])
    expect(read(list.join(', '))).toEqual(list);
  for (const one of [
    'http://example.com',
    'https://example.com/',
    'https://example.com/path',
    'https://EXAMPLE.com',
    'https://*.example.com',
    'https://user@example.com',
    'https://example.com;script-src *',
    "'self'",
    '*',
    'https:',
    'https://a.example.com,',
    'http://localhost.example.com',
    [...twenty, 'https://one.more'].join(','),
  ])
    expect(() => read(one), one).toThrow('FLTR_PORTAL_FRAME_ANCESTORS must list');
});

test('in production only https sites may show the portal', () => {
  const production = { FLTR_ENV: 'production', FLTR_PORTAL_FRAME_ANCESTORS: 'http://localhost:3000' };
  const fault = 'FLTR_PORTAL_FRAME_ANCESTORS must list https origins only in production';
  expect(() => readConfig(production)).toThrow(fault);
  expect(() => readConfig({ ...production, FLTR_PORTAL_FRAME_ANCESTORS: 'https://a.example' })).not.toThrow(
    fault,
  );
});

test.each([
  ['FLTR_PRODUCT_NAME', 'x'.repeat(101), 'must have at most 100 characters'],
  ['FLTR_PRODUCT_NAME', 'two\nlines', 'must not contain line breaks'],
  ['FLTR_LOGO_URL', 'http://example.com/logo.svg', 'must be an https URL'],
  ['FLTR_LOGO_URL', 'javascript:alert(1)', 'must be an https URL'],
  ['FLTR_LOGO_URL', 'data:text/html,<script>', 'must be an https URL'],
  ['FLTR_LOGO_URL', 'https://', 'must be an https URL'],
  ['FLTR_PUBLIC_URL', 'http://webhooks.example.com', 'must be an origin'],
  ['FLTR_PUBLIC_URL', 'https://webhooks.example.com/', 'must be an origin'],
  ['FLTR_PUBLIC_URL', 'webhooks.example.com', 'must be an origin'],
  ['FLTR_LOGO_URL', 'https://example.com/a b', 'must be an https URL'],
])('%s is refused as %s', (name, value, fault) => {
  expect(() => readConfig({ [name]: value })).toThrow(`${name} ${fault}`);
});
