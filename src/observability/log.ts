import { pino, type Logger } from 'pino';

/** JSON lines on stdout. What could hold a secret or a payload is taken out by its path, should it ever get in. */
export function createLog(level: string): Logger {
  const secrets = ['authorization', 'secret', 'body', 'data', 'databaseUrl', 'apiKey'];
  return pino({
    level,
    base: { service: 'fltr-webhooks' },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: [...secrets, ...secrets.map((path) => `*.${path}`)], censor: '[redacted]' },
  });
}
