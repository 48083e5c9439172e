import fc from 'fast-check';
import { expect, test } from 'vitest';
import { verify } from '../../src/client/verify.ts';
import { requestFormats } from '../../src/contracts/webhook-format.ts';
import { contentTypeOf, textFor } from '../../src/domain/body-formats.ts';
import { membersOf } from '../../src/domain/json-text.ts';
import { attemptHeaders, defaultHeaderSettings, toHeaderStyle } from '../../src/domain/request-headers.ts';
import { newSecret } from '../../src/domain/signature.ts';
import { bodyFor, wireBodyOf } from '../../src/domain/wire-body.ts';
import { object } from '../kit/json-texts.ts';

const event = { id: 'evt_1', event: 'order.paid', timestamp: '2026-01-10T12:00:00Z' };
const stored = wireBodyOf({ ...event, data: '{"n":1.50,"10":"\\u00e9","big":12345678901234567890}' });

test('each format has its own text, with the data as its producer wrote it', () => {
  const text = (format: (typeof requestFormats)[number]) => bodyFor(format, stored, 'acc_1').toString();
  expect(Object.fromEntries(requestFormats.map((format) => [format, text(format)]))).toEqual({
    fltr: '{"id":"evt_1","event":"order.paid","timestamp":"2026-01-10T12:00:00Z","data":{"n":1.50,"10":"\\u00e9","big":12345678901234567890}}',
    standard:
      '{"id":"evt_1","type":"order.paid","timestamp":"2026-01-10T12:00:00Z","data":{"n":1.50,"10":"\\u00e9","big":12345678901234567890}}',
    data: '{"n":1.50,"10":"\\u00e9","big":12345678901234567890}',
    cloudevents:
      '{"specversion":"1.0","id":"evt_1","source":"/accounts/acc_1","type":"order.paid","time":"2026-01-10T12:00:00Z","datacontenttype":"application/json","data":{"n":1.50,"10":"\\u00e9","big":12345678901234567890}}',
    slack: JSON.stringify({
      text: '*order.paid* at 2026-01-10T12:00:00Z\n• n: 1.50\n• 10: é\n• big: 12345678901234567890',
    }),
  });
  expect(requestFormats.map(contentTypeOf)).toEqual(
    requestFormats.map((format) =>
      format === 'cloudevents' ? 'application/cloudevents+json' : 'application/json',
    ),
  );
});

/** Strings that could be mistaken for the border between the members. */
const odd = fc.oneof(
  fc.constantFrom(',"data":', 'a,', ',', '\\', '","data":{', '}', '\u2028', '\ud800', ''),
  fc.string({ unit: 'binary', maxLength: 12 }),
);
/** As a request has it: white space between the tokens is left out. */
const data = object.map((text) => membersOf(`{"data":${text}}`)[0]?.[1] ?? '');

test('every format has the same data for any event, and three of them its very text', () => {
  fc.assert(
    fc.property(odd, odd, odd, data, (id, type, timestamp, text) => {
      const body = wireBodyOf({ id, event: type, timestamp, data: text });
      const of = (format: (typeof requestFormats)[number]) => bodyFor(format, body, 'acc_1').toString();
      const sent = { id, type, timestamp, data: JSON.parse(text) as unknown };
      expect(of('data')).toBe(text);
      for (const format of ['fltr', 'standard', 'cloudevents'] as const)
        expect(of(format).endsWith(`,"data":${text}}`)).toBe(true);
      expect(JSON.parse(of('fltr'))).toEqual({ id, event: type, timestamp, data: sent.data });
      expect(JSON.parse(of('standard'))).toEqual(sent);
      expect(JSON.parse(of('data'))).toEqual(sent.data);
      expect(JSON.parse(of('cloudevents'))).toEqual({
        specversion: '1.0',
        id,
        source: '/accounts/acc_1',
        type,
        time: timestamp,
        datacontenttype: 'application/json',
        data: sent.data,
      });
      // The dashboard shows the sent body.
      for (const format of requestFormats) expect(textFor(format, body.toString(), 'acc_1')).toBe(of(format));
    }),
  );
});

test('both signatures are over the bytes of the format, and over no others', () => {
  const secret = newSecret();
  const style = toHeaderStyle(defaultHeaderSettings);
  const at = new Date('2026-01-10T12:00:05Z');
  fc.assert(
    fc.property(data, fc.constantFrom(...requestFormats), (text, format) => {
      const body = bodyFor(format, wireBodyOf({ ...event, data: text }), 'acc_1');
      const signed = { eventId: event.id, eventType: event.event, attemptId: 'att_1', at };
      const secrets = { body: secret, standard: [secret] as [string] };
      const headers = attemptHeaders({ ...signed, style, format, body, secrets });
      const received = { headers, secret, at, signatures: ['fltr', 'standard'] } as const;
      expect(verify<unknown>({ ...received, body })).toEqual(JSON.parse(body.toString()));
      const other = Buffer.concat([body, Buffer.from(' ')]);
      expect(() => verify({ ...received, body: other })).toThrow(/match/);
    }),
  );
});
