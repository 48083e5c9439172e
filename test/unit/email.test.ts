import fc from 'fast-check';
import { expect, test } from 'vitest';
import { emailAddressesOf, isEmailAddress } from '../../src/domain/email-addresses.ts';
import { emailOf } from '../../src/domain/email-text.ts';
import { eventText } from '../../src/domain/body-formats.ts';
import { reasonsText, toggleReason, alertReasons, typesOf, urlIn } from '../../src/dashboard/alert-text.ts';
import { newId } from '../../src/domain/ids.ts';
import { isAlert } from '../../src/domain/subscription.ts';

test('an accepted address has no character with a meaning in a header, a URL or a command', () => {
  const parts = fc.constantFrom(
    'a',
    'A-1',
    '+',
    '.',
    '@',
    'b.example',
    ',',
    ' ',
    '\r\n',
    '\0',
    '<',
    '>',
    '"',
    '%0d',
    '?',
    ':',
    ';',
    'é',
    '[',
    '\\',
  );
  fc.assert(
    fc.property(fc.array(parts, { maxLength: 8 }), (list) => {
      const text = list.join('');
      if (isEmailAddress(text)) expect(text).toMatch(/^[A-Za-z0-9_+'.-]+@[A-Za-z0-9.-]+$/);
      for (const address of emailAddressesOf(`mailto:${text}`) ?? [])
        expect(isEmailAddress(address)).toBe(true);
    }),
    { numRuns: 2000 },
  );
  expect(emailAddressesOf("mailto:o'neil+ops@a-b.example,x.y@c.example")).toEqual([
    "o'neil+ops@a-b.example",
    'x.y@c.example',
  ]);
});

test('a subject is one line for any event, and the HTML holds none of its tags', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (name, value) => {
      const event = { id: 'evt_1', event: 'webhook.down', timestamp: '2026-01-10T12:00:00Z' };
      const data = JSON.stringify({ webhook_id: value, [`x${name}`]: `<b>${value}` });
      const { subject, html } = emailOf(eventText(event, data));
      expect(subject).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
      expect(html).not.toContain('<b>');
    }),
  );
});

test('a digest of failures names their number; a test e-mail is named as a test', () => {
  const event = { id: 'evt_1', event: 'delivery.failed', timestamp: '2026-01-10T12:00:00Z' };
  const digest = emailOf(eventText(event, '{"webhook_id":"wh_1","count":90}'));
  expect(digest.subject).toBe('90 deliveries failed: wh_1');
  expect(emailOf(eventText(event, '{"webhook_id":"wh_1"}'), { isTest: true }).subject).toBe(
    '[Test] Delivery failed: wh_1',
  );
});

test('the form of alerts knows families, and selects the two types of one reason together', () => {
  expect(reasonsText(['webhook.*'])).toBe('disabled, down or recovered, failing, old secret');
  expect(typesOf(['delivery.*'])).toEqual(['delivery.failed']);
  const down = alertReasons.find(({ types }) => types.includes('webhook.down'));
  if (!down) throw new Error('unreachable');
  expect(toggleReason(['webhook.down'], down)).toEqual(['webhook.down', 'webhook.recovered']);
  expect(toggleReason(['webhook.disabled', 'webhook.down', 'webhook.recovered'], down)).toEqual([
    'webhook.disabled',
  ]);
  expect(urlIn('email', ' a@b.example; c@d.example\n')).toBe('mailto:a@b.example,c@d.example');
  expect(isAlert(['webhook.down', 'delivery.*'])).toBe(true);
  expect([isAlert(['*']), isAlert(['webhook.down', 'order.paid'])]).toEqual([false, false]);
});

test('it links to the pages of a delivery and a webhook, where these have ids of the service and the address is known', () => {
  const event = { id: 'evt_1', event: 'delivery.failed', timestamp: '2026-01-10T12:00:00Z' };
  const of = (data: object) => eventText(event, JSON.stringify(data));
  const publicUrl = 'https://webhooks.example.com';
  const [deliveryId, webhookId] = [newId('dlv'), newId('wh')];
  const body = of({ delivery_id: deliveryId, webhook_id: webhookId });
  const { text, html } = emailOf(body, { publicUrl });
  expect(text.match(/https:.*/g)).toEqual([
    `${publicUrl}/log/${deliveryId}`,
    `${publicUrl}/webhooks/${webhookId}`,
  ]);
  expect(html).toContain(`<a href="${publicUrl}/log/${deliveryId}">`);
  for (const other of [emailOf(body), emailOf(body, { publicUrl, isTest: true })]) {
    expect(other.text).not.toContain('https:');
    expect(other.html).not.toContain('href');
  }
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (id) => {
      expect(emailOf(of({ delivery_id: id, webhook_id: `wh_${id}` }), { publicUrl }).html).not.toContain(
        'href',
      );
    }),
  );
});
