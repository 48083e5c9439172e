import { pino, type Logger } from 'pino';

/** An error as the log has it: `pg` adds the whole client to one that ends a connection, statements and addresses in it. */
export function errorForLog(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { client: _client, ...kept } = pino.stdSerializers.err(error) as object & { client?: unknown };
  return kept;
}

/** JSON lines on stdout. What could hold a secret or a payload is taken out by its path, should it ever get in. */
export function createLog(level: string): Logger {
  const secrets = ['authorization', 'secret', 'body', 'data', 'databaseUrl', 'apiKey'];
  return pino({
    level,
    base: { service: 'fltr-webhooks' },
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { err: errorForLog },
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: [...secrets, ...secrets.map((path) => `*.${path}`)], censor: '[redacted]' },
  });
}
