import { LRUCache } from 'lru-cache';
import type { RequestHandler } from 'express';
import { jwkSetQuerySchema, type JwkSet } from '../contracts/public-key.ts';
import { findSigningKeys, type SigningKeysRow } from '../db/webhook-policy.ts';
import type { Deps } from '../deps.ts';
import { publicKeyOf, signingKeyContext, toJwk } from '../domain/signing-key.ts';
import { signingKeys } from '../domain/signing-secrets.ts';
import { ApiError } from '../errors.ts';
import type { SecretBox } from '../security/secret-box.ts';
import type { RateLimits } from './request-limits.ts';
import { validate } from './request-body.ts';
import { sendResponse } from './send-response.ts';

export const jwksPath = '/.well-known/jwks.json';

/** How long a set is cached here, because anybody may request it, and how long its recipient may cache it. */
const keptMs = 1000;
const maxAgeSeconds = 300;
const maxSets = 1000;

/** The public keys whose signatures requests to a webhook have, the current one first. Without `v1a`: none. */
export function publicKeysOf(secretBox: SecretBox, id: string, row: SigningKeysRow): string[] {
  if (!row.signatures.includes('v1a')) return [];
  const sealed = signingKeys({
    current: row.sealedSigningKey,
    previous: row.previousSealedSigningKey,
    previousUntil: row.previousSecretUntil,
    now: new Date(),
  });
  return sealed.map((key) => publicKeyOf(secretBox.open(key, signingKeyContext(id))));
}

/**
 * The public keys of one webhook, for whoever has its id, which no other account is shown and nobody can guess. There is no set
 * of all keys: with it a receiver would accept requests that were signed for another one.
 */
export function jwkSets({ pool, secretBox }: Deps, limits: RateLimits): RequestHandler {
  const sets = new LRUCache<string, string>({ max: maxSets, ttl: keptMs });
  const read = async (id: string): Promise<string | null> => {
    const row = /^wh_[0-9a-z]{26}$/.test(id) ? await findSigningKeys(pool, id) : null;
    const keys = row === null ? [] : publicKeysOf(secretBox, id, row);
    if (keys.length === 0) return null;
    const body = JSON.stringify({ keys: keys.map(toJwk) } satisfies JwkSet);
    sets.set(id, body);
    return body;
  };
  return async (request, response) => {
    const { webhook_id: id } = validate(jwkSetQuerySchema, request.query, '#query');
    const body = sets.get(id) ?? (await read(id));
    if (body === null) {
      await limits.failedAuthentication(request, response);
      throw new ApiError('not_found', 'No webhook with v1a in its signatures has this id.');
    }
    const headers = { 'Cache-Control': `public, max-age=${maxAgeSeconds}` };
    sendResponse(response, { status: 200, body, contentType: 'application/jwk-set+json', headers });
  };
}
