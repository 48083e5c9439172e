import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { newSecret, signBody, signStandard } from '../../src/domain/signature.ts';

// All hashes below were made by OpenSSL, not by this code.
const secret = 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD5Tq5vMyQ5qI=';
const body = Buffer.from(
  '{"id":"evt_1","event":"document.processed","timestamp":"2024-01-10T12:01:30Z","data":{"status":"prêt – 準備完了"}}',
);

const secrets = fc
  .uint8Array({ minLength: 24, maxLength: 64 })
  .map((key) => `whsec_${Buffer.from(key).toString('base64')}`);
const ids = fc.stringMatching(/^[A-Za-z0-9_-]{1,100}$/);
const bodies = fc.oneof(fc.json(), fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }));
const seconds = fc.integer({ min: 0, max: 4_102_444_800 });

describe('X-FLTR-Signature', () => {
  it("X-FLTR-Signature is the result of the documentation's own recipe", () => {
    // echo -n '{"event":"document.processed"}' | openssl dgst -sha256 -hmac 'whsec_xyz789' | cut -d ' ' -f2
    expect(signBody('whsec_xyz789', Buffer.from('{"event":"document.processed"}'))).toBe(
      'ec62a3791ea386ff20044cd8b7c90c9b915443ca6d9daeda095a4fa8b618f792',
    );
  });

  it('X-FLTR-Signature is keyed with the whole secret, over the bytes of the body', () => {
    // printf %s "$body" | openssl dgst -sha256 -hmac "$secret"
    expect(signBody(secret, body)).toBe('a1c69ecb0f8a3119c60fd7a72154a13d8f6cb06ad8448370cad736f211ff22b9');
    expect(signBody(secret, Buffer.alloc(0))).toBe(
      '4c10c011fae2f14e167e60552d0345d6f26b8cab9a353738c899d7e2ed2e74dc',
    );
  });

  it('X-FLTR-Signature is 64 lower-case hex digits, and another one for any other body or secret', () => {
    fc.assert(
      fc.property(secrets, secrets, bodies, bodies, (one, other, text, otherText) => {
        const signature = signBody(one, Buffer.from(text));
        expect(signature).toMatch(/^[0-9a-f]{64}$/);
        expect(signBody(other, Buffer.from(text)) === signature).toBe(one === other);
        expect(signBody(one, Buffer.from(otherText)) === signature).toBe(
          Buffer.from(text).equals(Buffer.from(otherText)),
        );
      }),
    );
  });
});

describe('webhook-signature', () => {
  it('webhook-signature is that of the example of Standard Webhooks', () => {
    const signature = signStandard(
      'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
      'msg_p5jXN8AQM9LWM0D4loKWxJek',
      1_614_265_330,
      Buffer.from('{"test": 2432232314}'),
    );
    expect(signature).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
  });

  it('webhook-signature is keyed with the decoded secret, over id, time and body', () => {
    // printf %s "evt_1.1704888090.$body" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | base64
    expect(signStandard(secret, 'evt_1', 1_704_888_090, body)).toBe(
      'v1,PwTQ4tcdQsTXIB20Qbh5rHaxPHE7hYHk8uoJh2K/96A=',
    );
  });

  it('webhook-signature is that of the standardwebhooks library, for any secret, id, time and body', () => {
    fc.assert(
      fc.property(secrets, ids, seconds, bodies, (anySecret, id, at, text) => {
        const theirs = new Webhook(anySecret).sign(id, new Date(at * 1000), text);
        expect(signStandard(anySecret, id, at, Buffer.from(text))).toBe(theirs);
      }),
    );
  });

  it('webhook-signature is accepted by the standardwebhooks library, with a list of two secrets as well', () => {
    fc.assert(
      fc.property(secrets, secrets, ids, fc.json(), (current, previous, id, text) => {
        const at = Math.floor(Date.now() / 1000);
        const sign = (anySecret: string) => signStandard(anySecret, id, at, Buffer.from(text));
        const headers = {
          'webhook-id': id,
          'webhook-timestamp': String(at),
          'webhook-signature': `${sign(previous)} ${sign(current)}`,
        };
        for (const anySecret of [current, previous]) {
          expect(new Webhook(anySecret).verify(text, headers)).toEqual(JSON.parse(text));
        }
      }),
    );
  });
});

describe('a new secret', () => {
  it('a new secret is whsec_ and the base64 of 32 random bytes', () => {
    const made = Array.from({ length: 1000 }, newSecret);
    expect(new Set(made).size).toBe(1000);
    for (const one of made) {
      expect(one).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
      expect(Buffer.from(one.slice(6), 'base64')).toHaveLength(32);
    }
  });
});
