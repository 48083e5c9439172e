import { CommanderError } from 'commander';
import { FltrWebhooksError } from '../client/request.ts';
import { isDatabaseUnavailable } from '../db/pool.ts';
import { StartError } from '../errors.ts';

/** What a command ends with, for scripts. The names of the six are told by `--help` and the README. */
const exitCodes = { done: 0, failed: 1, wrongUse: 2, notFound: 3, notAllowed: 4, noAnswer: 5 } as const;
type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export const exitCodesHelp = `
Exit codes:
  0  done, and so it is
  1  it failed, was refused, or is not so
  2  wrong use: of the command, or a value that the service does not take
  3  there is no such thing
  4  no valid key, or one that may not do this
  5  no answer: the service or its database is not available, or asks for patience (429, 503)`;

/** A fault with the exit code that tells of it. */
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

/** @example exitCodeOf(notFound('There is no key key_1.')) // 3 */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommandError) return error.exitCode;
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.wrongUse;
  if (error instanceof FltrWebhooksError) return exitCodeOfAnswer(error);
  return isDatabaseUnavailable(error) ? exitCodes.noAnswer : exitCodes.failed;
}

function exitCodeOfAnswer({ status, code }: FltrWebhooksError): ExitCode {
  // Somebody else answered: a proxy, or another service at that address.
  if (code === 'unexpected_answer' || code === 'malformed_answer') return exitCodes.noAnswer;
  switch (status) {
    case 0:
    case 429:
    case 503:
      return exitCodes.noAnswer;
    case 401:
    case 403:
      return exitCodes.notAllowed;
    case 404:
      return exitCodes.notFound;
    case 400:
    case 413:
    case 422:
      return exitCodes.wrongUse;
    default:
      return exitCodes.failed;
  }
}
