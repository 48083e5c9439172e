import type { AttemptErrorCode } from '../contracts/attempt-schema.ts';
import type { BrokenResponse } from './broken-head.ts';
import type { Phase } from './progress.ts';
import { describeTlsFailure, type TlsError } from './tls-failure.ts';

/** An error whose code is already known, with details. */
export class AttemptFailure extends Error {
  readonly attemptCode: AttemptErrorCode;
  readonly detail: string | undefined;
  readonly response: BrokenResponse | undefined;

  constructor(attemptCode: AttemptErrorCode, detail?: string, response?: BrokenResponse) {
    super(attemptCode);
    this.attemptCode = attemptCode;
    this.detail = detail;
    this.response = response;
  }
}

const systemCodes: Readonly<Record<string, AttemptErrorCode>> = {
  ECONNREFUSED: 'connection_refused',
  ECONNRESET: 'connection_reset',
  EPIPE: 'connection_reset',
  EHOSTUNREACH: 'host_unreachable',
  ENETUNREACH: 'host_unreachable',
  EHOSTDOWN: 'host_unreachable',
  ENETDOWN: 'host_unreachable',
  // The kernel's way to say that this machine has no IPv6.
  EADDRNOTAVAIL: 'host_unreachable',
  ETIMEDOUT: 'timeout_connect',
};

const lookupCodes: Readonly<Record<string, AttemptErrorCode>> = {
  ENOTFOUND: 'dns_not_found',
  ENODATA: 'dns_not_found',
  // No name server has a name with an empty label, or one of more than 63 characters.
  EBADNAME: 'dns_not_found',
  ETIMEOUT: 'timeout_dns',
};

/** Of the reasons why each address of a name failed, the one that helps its owner most comes first. */
const byUsefulness: readonly AttemptErrorCode[] = [
  'connection_refused',
  'connection_reset',
  'connection_closed',
  'timeout_connect',
  'host_unreachable',
];

/**
 * Names an error of node:dns, node:net, node:tls or node:http that ended an attempt in `phase`.
 *
 * @example
 * classifyFailure(Object.assign(new Error(), { code: 'ECONNREFUSED' }), 'connect'); // 'connection_refused'
 */
export function classifyFailure(error: unknown, phase: Phase): AttemptErrorCode {
  if (error instanceof AttemptFailure) return error.attemptCode;
  if (error instanceof AggregateError && error.errors.length > 0) {
    const codes = error.errors.map((each) => classifyFailure(each, phase));
    return byUsefulness.find((code) => codes.includes(code)) ?? codes[0] ?? 'network_failure';
  }
  const code = readProperty(error, 'code');
  if (phase === 'dns') return lookupCodes[code] ?? 'dns_failure';
  // Node reports a peer that closes, in the midst of the handshake or later, as a reset that no system call made.
  if (code === 'ECONNRESET' && readProperty(error, 'syscall') === '') return 'connection_closed';
  const known = systemCodes[code];
  if (known !== undefined) return known;
  return (
    describeTlsFailure(tlsErrorOf(error), '')?.code ?? (phase === 'tls' ? 'tls_failure' : 'network_failure')
  );
}

/**
 * Details of a failure, beside the code of `classifyFailure`, in words; undefined where there are none.
 *
 * @param sentCertificate whether the request had a client certificate
 */
export function describeFailure(error: unknown, sentCertificate = false): string | undefined {
  const code = classifyFailure(error, 'response');
  if (sentCertificate && handshakeEnded[code] !== undefined)
    return `The receiver ${handshakeEnded[code]} the connection before it responded. ${perhapsRefused}`;
  if (error instanceof AttemptFailure) return error.detail;
  // A receiver that speaks TLS 1.3 refuses a client without a certificate only after the handshake.
  return describeTlsFailure({ ...tlsErrorOf(error), sentCertificate }, '')?.detail;
}

const handshakeEnded: Readonly<Partial<Record<AttemptErrorCode, string>>> = {
  connection_closed: 'closed',
  connection_reset: 'reset',
};

/** Some receivers do not say so. */
const perhapsRefused =
  'Perhaps it does not accept the client certificate of this webhook: check that it is valid, and that the receiver trusts who issued it.';

/**
 * The error of a TLS handshake as one that explains the fault.
 *
 * @param host the host name in the URL
 * @param known whether more came than an alert, and whether the request had a client certificate
 */
export function toHandshakeFailure(
  error: unknown,
  host: string,
  known: Pick<TlsError, 'hasServerHello' | 'sentCertificate'>,
): AttemptFailure {
  const described = describeTlsFailure({ ...tlsErrorOf(error), ...known }, host);
  if (described !== null) return new AttemptFailure(described.code, described.detail);
  const code = classifyFailure(error, 'tls');
  const ended = handshakeEnded[code];
  return new AttemptFailure(
    code,
    ended === undefined
      ? undefined
      : `TLS: the receiver ${ended} the connection during the handshake. ${known.sentCertificate ? perhapsRefused : 'Check that TLS is set up for this host name and port.'}`,
  );
}

function tlsErrorOf(error: unknown): TlsError {
  const certificate = (error as { cert?: { subjectaltname?: string; subject?: { CN?: unknown } } } | null)
    ?.cert;
  const commonName = certificate?.subject?.CN;
  return {
    code: readProperty(error, 'code'),
    message: readProperty(error, 'message'),
    certificate: certificate && {
      subjectaltname: certificate.subjectaltname,
      commonName: typeof commonName === 'string' ? commonName : undefined,
    },
  };
}

/** Why the parser of node:http refused a response; undefined: it is another error. */
export function parserReason(error: unknown): string | undefined {
  const code = readProperty(error, 'code');
  if (!code.startsWith('HPE_')) return undefined;
  if (code === 'HPE_HEADER_OVERFLOW') return 'its headers are larger than 64 KiB';
  if (code === 'HPE_INVALID_CONSTANT') return 'it does not begin with "HTTP/"';
  return readProperty(error, 'reason');
}

function readProperty(error: unknown, name: 'code' | 'syscall' | 'message' | 'reason'): string {
  const value: unknown = error instanceof Error ? Reflect.get(error, name) : undefined;
  return typeof value === 'string' ? value : '';
}
