import { createHash } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import { LRUCache } from 'lru-cache';

/** A certificate that proves the sender of a request. PEM; `ca`: the authorities to trust in place of the public ones. */
export type ClientCertificate = { certificate: string; key: string; ca?: string | undefined };

/** A client certificate that is ready to be used. */
export type ClientIdentity = {
  /** Equal only where certificate, key and `ca` are: connections and TLS sessions are kept by it. */
  id: string;
  context: SecureContext;
};

/** Each holds a private key, so that it leaves the memory soon after its last use. */
const keepMs = 60_000;
const maxContexts = 200;

/**
 * Makes the function that prepares client certificates for TLS. They are kept for a minute.
 *
 * Throws the error of node:tls for a certificate that `findCertificateFault` refuses.
 *
 * @param publicCa PEM certificates to trust, where a client certificate names none, instead of Node's own
 * @example createClientIdentities()({ certificate, key }).id // '4f6a…'
 */
export function createClientIdentities(publicCa?: string): (given: ClientCertificate) => ClientIdentity {
  const known = new LRUCache<string, ClientIdentity>({
    max: maxContexts,
    ttl: keepMs,
    updateAgeOnGet: true,
    ttlAutopurge: true,
  });
  return ({ certificate, key, ca = publicCa }) => {
    const parts = JSON.stringify([certificate, key, ca]);
    const id = createHash('sha256').update(parts).digest('hex');
    const found = known.get(id);
    if (found !== undefined) return found;
    const context = createSecureContext({ cert: certificate, key, ...(ca === undefined ? {} : { ca }) });
    const identity = { id, context };
    known.set(id, identity);
    return identity;
  };
}
