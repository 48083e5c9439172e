import { CommanderError } from 'commander';
import { FltrWebhooksError } from '../client/request.ts';
import { isDatabaseUnavailable } from '../db/pool.ts';
import { StartError } from '../errors.ts';

/** Documented in `--help` and the README. */
const exitCodes = { success: 0, failed: 1, wrongUse: 2, notFound: 3, notAllowed: 4, unavailable: 5 } as const;
type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export const exitCodesHelp = `
Exit codes:
  0  success
  1  failed or refused
  2  wrong use of the command, or an invalid value
  3  not found
  4  no valid key, or a key without the required scope
  5  the service or its database is unavailable or overloaded (429, 503)`;

const exitCodeOfStatus: Readonly<Record<number, ExitCode>> = {
  0: exitCodes.unavailable,
  400: exitCodes.wrongUse,
  401: exitCodes.notAllowed,
  403: exitCodes.notAllowed,
  404: exitCodes.notFound,
  413: exitCodes.wrongUse,
  422: exitCodes.wrongUse,
  429: exitCodes.unavailable,
  503: exitCodes.unavailable,
};

/** An error with an exit code. */
class CommandError extends StartError {
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

export const wrongUse = (message: string): Error => new CommandError(exitCodes.wrongUse, message);
export const notFound = (message: string): Error => new CommandError(exitCodes.notFound, message);
export const notAllowed = (message: string): Error => new CommandError(exitCodes.notAllowed, message);

/** @example exitCodeOf(notFound('No active key key_1.')) // 3 */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommandError) return error.exitCode;
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.success : exitCodes.wrongUse;
  if (error instanceof FltrWebhooksError) return exitCodeOfResponse(error);
  return isDatabaseUnavailable(error) ? exitCodes.unavailable : exitCodes.failed;
}

function exitCodeOfResponse({ status, code }: FltrWebhooksError): ExitCode {
  // The response came from elsewhere: a proxy, or another service at that address.
  if (code === 'unexpected_response' || code === 'malformed_response') return exitCodes.unavailable;
  return exitCodeOfStatus[status] ?? exitCodes.failed;
}
