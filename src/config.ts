import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { StartError } from './errors.ts';
import { emailSettings } from './email-settings.ts';
import { encryptionSettings } from './encryption-settings.ts';
import { headerSettings } from './header-settings.ts';
import { insecurePages, pageSettings } from './page-settings.ts';
import { cidrs, databaseUrl, host, ipAndPort, outboxes, schedule, wholeNumber } from './setting-schemas.ts';
import { temporalSettings } from './temporal-settings.ts';

type Setting = { schema: z.ZodType<unknown, string>; default?: string; meaning: string; isSecret?: boolean };

/** Every variable that the service reads, with its default and meaning. */
const settings = {
  PORT: {
    schema: wholeNumber(0, 65_535),
    default: '3000',
    meaning: 'port of the API; 0: a free port, printed at start',
  },
  HOST: { schema: host, default: '127.0.0.1', meaning: 'address that the API listens on' },
  FLTR_ENV: {
    schema: z.enum(['development', 'production']),
    default: 'development',
    meaning: '`production`: https targets only, no embedded parts, no development key',
  },
  DATABASE_URL: {
    schema: databaseUrl,
    meaning: 'PostgreSQL 15 or newer; unset: embedded PostgreSQL',
    isSecret: true,
  },
  ...temporalSettings,
  FLTR_DATA_DIR: {
    schema: z.string().min(1),
    default: '.fltr',
    meaning: 'folder for everything that the embedded parts store',
  },
  FLTR_DEV_KEY: {
    schema: z.string().regex(/^[A-Za-z0-9_-]{16,200}$/, 'must be 16 to 200 letters, digits, _ or -'),
    meaning:
      'development only: API key of the development account, with every scope of such a key; unset: made at the first start and kept in the data folder',
    isSecret: true,
  },
  ...encryptionSettings,
  FLTR_RETRY_SCHEDULE_SECONDS: {
    schema: schedule,
    default: '60,300,1800',
    meaning: 'waits before each retry; empty: no retry. A delivery keeps the schedule it started with',
  },
  FLTR_ATTEMPT_TIMEOUT_MS: {
    schema: wholeNumber(100, 60_000),
    default: '5000',
    meaning: 'limit of one attempt: DNS lookup, connect, TLS, request, status and headers',
  },
  FLTR_MAX_WEBHOOKS_PER_ACCOUNT: {
    schema: wholeNumber(1, 100_000),
    default: '100',
    meaning: 'most webhooks of an account',
  },
  FLTR_CREATE_ACCOUNTS: {
    schema: z.enum(['by_call', 'on_publish']),
    default: 'by_call',
    meaning:
      'how accounts are created: `by_call` of the API; `on_publish`: an unknown account also at its first event, with a service key',
  },
  FLTR_DELIVERIES_PER_HOUR: {
    schema: wholeNumber(0, 1_000_000),
    default: '1000',
    meaning: 'attempts in any hour per webhook; further ones are deferred; 0: no cap',
  },
  FLTR_AUTO_DISABLE_EVERY_SECONDS: {
    schema: wholeNumber(1, 86_400),
    default: '300',
    meaning: 'how often webhooks are checked for auto-disable',
  },
  FLTR_AUTO_DISABLE_MIN_DELIVERIES: {
    schema: wholeNumber(1, 1_000_000),
    default: '10',
    meaning: 'deliveries that must have ended in 24 h before a webhook is auto-disabled',
  },
  FLTR_HOLD_HOURS: {
    schema: wholeNumber(1, 8760),
    default: '72',
    meaning: 'how long deliveries of a webhook that is not active are held',
  },
  FLTR_DELIVERIES_PER_WORKFLOW: {
    schema: wholeNumber(1, 64),
    default: '64',
    meaning: 'most deliveries that share a workflow for their first attempt in a burst; 1: never',
  },
  FLTR_EVENT_TYPES_FILE: {
    schema: z.string().min(1),
    meaning: 'JSON file of event types, read at start; they count beside those defined through the API',
  },
  FLTR_BUILT_IN_EVENT_TYPES: {
    schema: z.stringbool(),
    default: 'true',
    meaning: "FLTR's seven event types; `false` leaves them out",
  },
  FLTR_PROCESSES: {
    schema: wholeNumber(1, 64),
    meaning:
      'processes that `up` runs behind its port; unset: one for two cores, at most one for each GiB of memory, at most 16',
  },
  FLTR_MAX_CACHED_WORKFLOWS: {
    schema: wholeNumber(400, 100_000),
    default: '1000',
    meaning: 'workflows that a process caches, about 0.1 MiB each; the others are in Temporal only',
  },
  FLTR_WORKFLOW_STACK_TRACES: {
    schema: z.stringbool(),
    meaning:
      "stack traces of errors inside workflows; unset: outside production, for they cost a fifth of a worker's CPU",
  },
  FLTR_ALLOWED_CIDRS: {
    schema: cidrs,
    default: '',
    meaning:
      "private networks allowed as targets, such as 10.1.0.0/16,fd12:3456:789a::/48; never a cloud's metadata address",
  },
  ...headerSettings,
  ...emailSettings,
  FLTR_API_REQUESTS_PER_MINUTE: {
    schema: wholeNumber(0, 1_000_000),
    default: '600',
    meaning:
      'API calls a minute per key, ten times that per account; counted by each `up` or `api`; 0: no limit',
  },
  FLTR_PUBLISH_REQUESTS_PER_MINUTE: {
    schema: wholeNumber(0, 1_000_000),
    default: '0',
    meaning:
      'publishing calls a minute per key, ten times that per account; counted by each `up` or `api`; 0: no limit',
  },
  FLTR_MAX_BACKLOG: {
    schema: wholeNumber(1, 100_000_000),
    default: '1000000',
    meaning: 'accepted deliveries whose workflow is not started; beyond it publishing responds with 503',
  },
  FLTR_OUTBOX_URLS: {
    schema: outboxes,
    default: '',
    meaning:
      'databases whose outbox `up` and `worker` relay: URLs separated by commas; `service` means the database of the service',
    isSecret: true,
  },
  FLTR_DRAIN_SECONDS: {
    schema: wholeNumber(0, 60),
    default: '0',
    meaning:
      'how long a stopping process still responds, with 503 from `/readyz`, so that load balancers notice',
  },
  FLTR_METRICS_TOKEN: {
    schema: z.string().regex(/^[\x21-\x7e]{16,200}$/, 'must be 16 to 200 visible ASCII characters'),
    meaning:
      'token that `/metrics` needs as `Authorization: Bearer`; unset: open in development, closed in production',
    isSecret: true,
  },
  FLTR_WORKER_PORT: {
    schema: wholeNumber(1, 65_535),
    meaning: 'port of `/healthz`, `/readyz` and `/metrics` of a process that runs `worker` only; unset: none',
  },
  FLTR_TEMPORAL_METRICS_ADDRESS: {
    schema: ipAndPort,
    meaning:
      "address of the metrics of Temporal's worker, such as 127.0.0.1:9464, without authentication; further processes of `up` have the next ports; unset: none",
  },
  FLTR_PAYLOAD_RETENTION_DAYS: {
    schema: wholeNumber(0, 36_500),
    default: '30',
    meaning: "days that events' bodies and receivers' responses are kept; 0: as long as their rows",
  },
  FLTR_RETENTION_DAYS: {
    schema: wholeNumber(0, 36_500),
    default: '90',
    meaning:
      'days that deliveries (after their end), events, audit records and operations are kept; 0: forever',
  },
  ...pageSettings,
  FLTR_API_URL: {
    schema: z.url({ protocol: /^https?$/ }),
    meaning: 'address of the service, for the commands that call its API; unset: the service that runs here',
  },
  FLTR_API_KEY: {
    schema: z.string().min(1),
    meaning:
      'API key, for the commands that call the API; unset: the development key of the service that runs here',
    isSecret: true,
  },
  LOG_LEVEL: {
    schema: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'silent']),
    default: 'info',
    meaning: 'lowest level that is logged',
  },
} as const satisfies Record<string, Setting>;

type Name = keyof typeof settings;
type Output<N extends Name> = z.output<(typeof settings)[N]['schema']>;
type Values = {
  [N in Name]: (typeof settings)[N] extends { default: string } ? Output<N> : Output<N> | undefined;
};
export type Config = Readonly<Values>;

/**
 * The settings from the environment, each secret also from the file that `NAME_FILE` names.
 *
 * @throws StartError that lists every fault at once
 */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const faults: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries<Setting>(settings)) {
    const text = readText(name, setting, env, faults) ?? setting.default;
    if (text === undefined) continue;
    const parsed = setting.schema.safeParse(text);
    if (parsed.success) values[name] = parsed.data;
    else faults.push(`${name} ${parsed.error.issues.map((issue) => issue.message).join('; ')}`);
  }
  const config = values as Config;
  if (config.FLTR_ENV === 'production') faults.push(...productionFaults(env), ...insecurePages(config));
  if (Boolean(config.FLTR_SMTP_URL) !== Boolean(config.FLTR_SMTP_FROM))
    faults.push('FLTR_SMTP_URL and FLTR_SMTP_FROM belong together: set both or none');
  if (Boolean(config.TEMPORAL_TLS_CLIENT_CERT_PATH) !== Boolean(config.TEMPORAL_TLS_CLIENT_KEY_PATH)) {
    faults.push(
      'TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH belong together: set both or none',
    );
  }
  if (faults.length > 0) {
    throw new StartError(`The settings are not valid:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
  }
  return config;
}

function readText(
  name: string,
  setting: Setting,
  env: NodeJS.ProcessEnv,
  faults: string[],
): string | undefined {
  const direct = env[name];
  const file = setting.isSecret ? env[`${name}_FILE`] : undefined;
  if (file === undefined || file === '')
    return direct === '' && name !== 'FLTR_RETRY_SCHEDULE_SECONDS' ? undefined : direct;
  if (direct !== undefined && direct !== '') faults.push(`${name} and ${name}_FILE are both set: keep one`);
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    faults.push(`${name}_FILE cannot be read: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

function productionFaults(env: NodeJS.ProcessEnv): string[] {
  const isSet = (name: Name) => Boolean(env[name]) || Boolean(env[`${name}_FILE`]);
  const needed: Name[] = ['DATABASE_URL', 'TEMPORAL_ADDRESS', 'FLTR_ENCRYPTION_KEYS'];
  return [
    ...needed.filter((name) => !isSet(name)).map((name) => `${name} must be set in production`),
    ...(isSet('FLTR_DEV_KEY') ? ['FLTR_DEV_KEY is for development: unset it in production'] : []),
  ];
}

/** Variables that start with FLTR_ but are not settings: most likely a typing error. */
export function unknownSettings(env: NodeJS.ProcessEnv = process.env): string[] {
  const known = new Set(
    Object.entries<Setting>(settings).flatMap(([name, { isSecret }]) =>
      isSecret ? [name, `${name}_FILE`] : [name],
    ),
  );
  return Object.keys(env)
    .filter((name) => name.startsWith('FLTR_') && !known.has(name))
    .sort();
}

/** The table of all variables, for `fltr-webhooks config` and docs/settings.md. */
export function settingsTable(): { name: string; default: string; meaning: string; isSecret: boolean }[] {
  return Object.entries<Setting>(settings).map(([name, setting]) => ({
    name,
    default: setting.default ?? '',
    meaning: setting.meaning,
    isSecret: setting.isSecret ?? false,
  }));
}

/** The environment that started processes inherit. */
export function childEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env };
}
