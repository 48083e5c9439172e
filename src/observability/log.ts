import { pino, type Logger } from 'pino';

/** `pg` adds its whole client, with statements and addresses, to an error that ends a connection: it is left out. */
export function errorForLog(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { client: _client, ...kept } = pino.stdSerializers.err(error) as object & { client?: unknown };
  return kept;
}

/** JSON lines on stdout. Fields that could hold a secret or a payload are redacted by their path. */
export function createLog(level: string): Logger {
  const secrets = ['authorization', 'secret', 'body', 'data', 'databaseUrl', 'apiKey'];
  return pino({
    level,
    base: { service: 'fltr-webhooks', pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { err: errorForLog },
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: [...secrets, ...secrets.map((path) => `*.${path}`)], censor: '[redacted]' },
  });
}
