import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { ClientCertificate } from './client-certificate.ts';

/** A fault of a client certificate, and its remedy; `part`: in which of its texts. */
type CertificateFault = { part: keyof ClientCertificate; message: string };

const block = /-----BEGIN ([A-Z0-9 ]+)-----[^-]*-----END \1-----/g;

/**
 * Why a client certificate cannot be used, as a sentence without its subject; null where it can be. No message contains any of
 * the texts.
 *
 * @param now a certificate that has expired by then is refused
 * @example findCertificateFault({ certificate: 'MIIB…', key }, new Date())
 *   // { part: 'certificate', message: 'holds no PEM certificate. …' }
 */
export function findCertificateFault(given: ClientCertificate, now: Date): CertificateFault | null {
  const { certificate, key, ca } = given;
  const chain = readCertificates(certificate);
  if (typeof chain === 'string') return { part: 'certificate', message: chain };
  const [own] = chain;
  if (own !== undefined && own.validToDate < now)
    return { part: 'certificate', message: 'has expired. Send one that is still valid' };
  const privateKey = readKey(key);
  if (typeof privateKey === 'string') return { part: 'key', message: privateKey };
  if (own?.checkPrivateKey(privateKey) !== true)
    return {
      part: 'key',
      message:
        'does not belong to the certificate. Send the key that the certificate was requested with, and in a chain the own certificate first',
    };
  const authorities = ca === undefined ? [] : readCertificates(ca);
  if (typeof authorities === 'string') return { part: 'ca', message: authorities };
  return canBeUsed(given)
    ? null
    : {
        part: 'certificate',
        message:
          'cannot be used for TLS: its key or signature is too weak. Use an EC key or RSA with 2048 bits or more, and SHA-256',
      };
}

function readCertificates(text: string): X509Certificate[] | string {
  const blocks = [...text.matchAll(block)];
  if (blocks.some(([, kind = '']) => kind.endsWith('PRIVATE KEY')))
    return 'contains a private key. Send certificates only; the private key belongs into key';
  const certificates = blocks.filter(([, kind]) => kind === 'CERTIFICATE');
  if (certificates.length === 0)
    return 'holds no PEM certificate. Send the text from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----, with its line breaks';
  try {
    return certificates.map(([pem]) => new X509Certificate(pem));
  } catch {
    return 'holds a certificate that cannot be read. Copy the whole PEM text again, with its line breaks (check it with: openssl x509 -in file -noout)';
  }
}

function readKey(text: string): KeyObject | string {
  const kinds = [...text.matchAll(block)].map(([, kind = '']) => kind);
  if (!kinds.some((kind) => kind.endsWith('PRIVATE KEY')))
    return 'holds no PEM private key. Send the text from -----BEGIN PRIVATE KEY----- to -----END PRIVATE KEY-----, with its line breaks';
  if (kinds.includes('ENCRYPTED PRIVATE KEY') || text.includes('Proc-Type: 4,ENCRYPTED'))
    return 'is protected by a passphrase. Send it without one (openssl pkey -in key.pem -out plain.pem); it is encrypted here';
  try {
    return createPrivateKey(text);
  } catch {
    return 'holds a private key that cannot be read. Copy the whole PEM text again, with its line breaks (check it with: openssl pkey -in file -noout)';
  }
}

function canBeUsed({ certificate, key, ca }: ClientCertificate): boolean {
  try {
    createSecureContext({ cert: certificate, key, ...(ca === undefined ? {} : { ca }) });
    return true;
  } catch {
    return false;
  }
}
