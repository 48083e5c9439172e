import { isDatabaseUnavailable } from './pool.ts';

type Fault = readonly [is: string, toDo: string];

/** By SQLSTATE, and by Node's codes. */
const faults: Readonly<Record<string, Fault>> = {
  '28P01': ['PostgreSQL does not accept the password', 'Correct user name and password in DATABASE_URL.'],
  '28000': [
    'PostgreSQL does not let this user connect',
    "Check the user name in DATABASE_URL, and the server's pg_hba.conf.",
  ],
  '3D000': [
    'The database that DATABASE_URL names does not exist',
    'Create it with `createdb`, or correct the name.',
  ],
  '53300': ['PostgreSQL has no connection left', 'Close others, or raise its max_connections.'],
  ECONNREFUSED: [
    'Nothing listens at the host and port in DATABASE_URL',
    'Start PostgreSQL, or correct host and port.',
  ],
  ENOTFOUND: ['The host in DATABASE_URL cannot be found', 'Correct its name.'],
  EAI_AGAIN: ['The host in DATABASE_URL cannot be found now', 'Correct its name, or try again.'],
};

/** pg gives these no code. */
const faultsByMessage: readonly (readonly [RegExp, Fault])[] = [
  [/password must be a string/i, ['PostgreSQL requires a password', 'Add it to DATABASE_URL.']],
  [
    /does not support SSL/i,
    ['PostgreSQL does not use TLS', 'Remove sslmode from DATABASE_URL, or set up TLS at the server.'],
  ],
];

/**
 * Why the database cannot be used, and the remedy, for the person who starts the service or a command; null where the error
 * has another cause.
 *
 * @example describeDatabaseFault(error) // 'Nothing listens at the host and port in DATABASE_URL (connect ECONNREFUSED 127.0.0.1:5432). …'
 */
export function describeDatabaseFault(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  // Of several addresses, Node's error has a code alone.
  const { message, code = '' } = error as Error & { code?: string };
  const known = faults[code] ?? faultsByMessage.find(([fault]) => fault.test(message))?.[1];
  if (known) return `${known[0]} (${message || code}). ${known[1]}`;
  return isDatabaseUnavailable(error)
    ? `The database is not available (${message || code}). Check DATABASE_URL and the server, then run this again.`
    : null;
}
