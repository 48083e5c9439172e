import type { AttemptErrorCode } from '../contracts/attempt-schema.ts';

export type TlsError = {
  /** Node's name for OpenSSL's reason: `CERT_HAS_EXPIRED`, `ERR_SSL_…`, `UNSPECIFIED`. */
  code: string;
  message: string;
  /** The names of the certificate. Node adds them where it is for another name. */
  certificate?: { subjectaltname?: string | undefined; commonName?: string | undefined } | undefined;
  /** Whether more came than an alert: then protocol version and cipher were agreed on. */
  hasServerHello?: boolean | undefined;
  /** Whether the request had a client certificate. */
  sentCertificate?: boolean | undefined;
};

export type TlsFailure = {
  code: Extract<AttemptErrorCode, 'tls_certificate' | 'tls_failure'>;
  /** For the webhook's owner: the fault at the receiver, and its remedy. */
  detail: string;
};

/** Names of OpenSSL's verification results (X509_V_ERR_…), which Node uses as error codes. `UNSPECIFIED`: all without a name. */
const certificateCode =
  /^(CERT_|CRL_|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_|INVALID_(CA|PURPOSE)|PATH_LENGTH_EXCEEDED|HOSTNAME_MISMATCH|ERROR_IN_CERT_|ERR_TLS_CERT_|UNSPECIFIED$)/;

/** Each a pattern of an error's code or message, without regard to case, and its meaning. The first match counts. */
const certificateFaults: Readonly<Record<string, string>> = {
  // OpenSSL's error where the receiver sent no certificate but its own.
  '^UNABLE_TO_VERIFY_LEAF_SIGNATURE$':
    'the certificate chain is incomplete. The receiver must send its intermediate certificates too (the "full chain"), and a public authority must have issued them. Browsers often hide this fault.',
  '^UNABLE_TO_GET_ISSUER_CERT|^SELF_SIGNED_CERT_IN_CHAIN$|^CERT_UNTRUSTED$':
    'the certificate was not issued by a public certificate authority, or an intermediate certificate is missing from its chain. Use a certificate of a public authority, with its full chain.',
  '^DEPTH_ZERO_SELF_SIGNED_CERT$':
    'the certificate is self-signed. Use one that a public certificate authority issued.',
  '^CERT_HAS_EXPIRED$':
    'the certificate, or an intermediate one in its chain, has expired. Renew it, and check that the receiver uses the new one.',
  '^CERT_NOT_YET_VALID$':
    'the certificate is not valid yet. Check the date from which it is valid, and the clock of the machine that made it.',
  'too weak|MD_TOO_WEAK|KEY_TOO_SMALL':
    'the certificate, or one in its chain, has too weak a key or signature (such as SHA-1). Replace it with a current one.',
  'subtree|name constraint|unsupported name':
    'an authority in the certificate chain may not issue certificates for this host name (name constraints). Get the certificate from another authority.',
  '^INVALID_PURPOSE$|certificate purpose':
    'the certificate is not meant for servers. Use one whose purpose includes server authentication.',
  REVOKED: 'the certificate was revoked. Replace it.',
};

/** Whether an error of Node means that a certificate is not valid. @example isCertificateFault('CERT_HAS_EXPIRED') // true */
export const isCertificateFault = (code: string): boolean => certificateCode.test(code);

const wantsCertificate = 'the receiver requires a client certificate, and this service sends none.';
const refusesCertificate =
  'the receiver refuses the client certificate of this webhook. Check that it is valid, and that the receiver trusts who issued it.';

/** Of TLS 1.2 and 1.3, where a client sent a certificate. */
const certificateAlert = /ALERT_(CERTIFICATE_EXPIRED|CERTIFICATE_REVOKED|DECRYPT_ERROR)$/;

// OpenSSL 3.2 gave some of these another beginning, so the ends are looked at.
const handshakeFaults: Readonly<Record<string, string>> = {
  'WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|UNKNOWN_PROTOCOL|BAD_RECORD_TYPE|RECORD_LAYER_FAILURE':
    'the server at that port does not speak TLS: perhaps it is plain HTTP. Check the port in the URL.',
  'PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|VERSION_TOO_LOW|LEGACY_RENEGOTIATION':
    'the receiver supports only outdated TLS versions. TLS 1.2 or newer is required.',
  'CERTIFICATE_REQUIRED|ALERT_(BAD_CERTIFICATE|NO_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_UNKNOWN|UNKNOWN_CA|ACCESS_DENIED)$':
    wantsCertificate,
  UNRECOGNIZED_NAME:
    'the receiver has no certificate for this host name. Check the host name in the URL, and that the receiver is set up for it.',
  NO_APPLICATION_PROTOCOL: 'the receiver does not accept HTTP/1.1, which every request uses. Enable it.',
  'TOO_SMALL|TOO_WEAK|WRONG_SIGNATURE_TYPE|BAD_ECPOINT|DH_KEY':
    'the receiver uses too weak a key. Replace its certificate or Diffie-Hellman parameters with current ones.',
  'ALERT_HANDSHAKE_FAILURE|ALERT_INSUFFICIENT_SECURITY|NO_SHARED_CIPHER|NO_CIPHERS':
    'the receiver refused the handshake: it has no TLS version or cipher in common with this service, or it requires a client certificate.',
};

/**
 * Why TLS failed, in words, from Node's error; null where it is another error.
 * Source: OpenSSL's verify(1) for certificates, RFC 8446 section 6 for alerts.
 *
 * @param host the host name in the URL
 * @example describeTlsFailure({ code: 'CERT_HAS_EXPIRED', message: 'certificate has expired' }, 'a.test')?.code // 'tls_certificate'
 */
export function describeTlsFailure(error: TlsError, host: string): TlsFailure | null {
  const { code, message, certificate, hasServerHello = false, sentCertificate = false } = error;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code === 'HOSTNAME_MISMATCH')
    return toFailure('tls_certificate', otherName(certificate, host));
  if (isCertificateFault(code)) {
    const known = findFault(certificateFaults, code, message);
    return toFailure('tls_certificate', known ?? `the certificate is not valid (${printable(message)}).`);
  }
  if (!code.startsWith('ERR_SSL_') && !code.startsWith('ERR_TLS_')) return null;
  const known =
    code.endsWith('ALERT_HANDSHAKE_FAILURE') && hasServerHello
      ? wantsCertificate
      : findFault(handshakeFaults, code);
  if (sentCertificate && (known === wantsCertificate || certificateAlert.test(code)))
    return toFailure('tls_failure', refusesCertificate);
  return toFailure('tls_failure', known ?? `the handshake failed (${reasonOf(code)}).`);
}

const findFault = (faults: Readonly<Record<string, string>>, ...texts: string[]): string | undefined =>
  Object.entries(faults).find(([pattern]) => texts.some((text) => new RegExp(pattern, 'i').test(text)))?.[1];

const toFailure = (code: TlsFailure['code'], fault: string): TlsFailure => ({
  code,
  detail: `TLS: ${fault}`,
});

const maxNames = 5;

function otherName(certificate: TlsError['certificate'], host: string): string {
  const names = namesOf(certificate);
  const more = names.length > maxNames ? ` and ${names.length - maxNames} more` : '';
  const listed = names.length === 0 ? 'no name' : names.slice(0, maxNames).join(', ') + more;
  return `the certificate is not for ${host}: it is for ${listed}. Use one that names this host, or change the URL.`;
}

/** The names of a certificate, without those that do not look like a host name or an address. */
function namesOf({ subjectaltname = '', commonName }: NonNullable<TlsError['certificate']> = {}): string[] {
  const alternative = subjectaltname
    .split(', ')
    .flatMap((entry) => /^(?:DNS|IP Address):(.+)$/.exec(entry)?.[1] ?? []);
  const names = alternative.length > 0 || commonName === undefined ? alternative : [commonName];
  return names.filter((name) => /^[\w.*:-]{1,253}$/.test(name));
}

/** @example reasonOf('ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR') // 'tlsv1 alert internal error' */
const reasonOf = (code: string): string =>
  printable(code.replace(/^ERR_(SSL|TLS)_/, ''))
    .toLowerCase()
    .replaceAll('_', ' ');

const printable = (text: string): string => text.replace(/[^\x20-\x7e]+/g, ' ').slice(0, 200);
