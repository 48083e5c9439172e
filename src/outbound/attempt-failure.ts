import type { AttemptErrorCode } from '../contracts/attempt.ts';
import type { BrokenResponse } from './broken-head.ts';
import type { Phase } from './progress.ts';

/** An error whose code is already known; with what else is known of it. */
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

/** Names of OpenSSL's verification results (X509_V_ERR_…), which Node uses as error codes. */
const certificateCode =
  /^(CERT_|CRL_|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_|INVALID_(CA|PURPOSE)|PATH_LENGTH_EXCEEDED|HOSTNAME_MISMATCH|ERROR_IN_CERT_|ERR_TLS_CERT_)/;

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
  if (certificateCode.test(code)) return 'tls_certificate';
  if (code.startsWith('ERR_SSL_') || code.startsWith('ERR_TLS_') || phase === 'tls') return 'tls_failure';
  return 'network_failure';
}

/** Why the parser of node:http refused a response; undefined: it is another error. */
export function parserReason(error: unknown): string | undefined {
  const code = readProperty(error, 'code');
  if (!code.startsWith('HPE_')) return undefined;
  if (code === 'HPE_HEADER_OVERFLOW') return 'its headers are larger than 64 KiB';
  if (code === 'HPE_INVALID_CONSTANT') return 'it does not begin with "HTTP/"';
  return readProperty(error, 'reason');
}

function readProperty(error: unknown, name: 'code' | 'syscall' | 'reason'): string {
  const value: unknown = error instanceof Error ? Reflect.get(error, name) : undefined;
  return typeof value === 'string' ? value : '';
}
