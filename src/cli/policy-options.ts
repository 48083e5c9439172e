import { Option, type Command } from 'commander';
import type { z } from 'zod';
import type { putWebhookSchema, updateWebhookSchema } from '../contracts/webhook.ts';
import {
  failureActions,
  orderings,
  retriedClientErrors,
  retryPresets,
  signatureVersions,
  type OnFailure,
  type Ordering,
} from '../contracts/webhook-policy.ts';
import { presetTexts } from '../domain/retry-policy.ts';
import { given, readText, readValue } from './api-command.ts';
import { authFieldsHelp, authOf } from './auth-option.ts';
import { wrongUse } from './exit-codes.ts';
import { listOf } from './text-output.ts';

type Update = z.input<typeof updateWebhookSchema>;
type Retry = NonNullable<Update['retry']>;
type PlainField =
  | 'timeout_ms'
  | 'headers'
  | 'auth'
  | 'filter'
  | 'rate_limit'
  | 'max_concurrent'
  | 'signatures'
  | 'probe_when_down'
  | 'ordering'
  | 'on_failure';
type Policy = Pick<Update, PlainField>;
type NewPolicy = Pick<z.input<typeof putWebhookSchema>, PlainField | 'retry'>;

export type PolicyOptions = {
  retry?: NonNullable<Retry['preset']>;
  schedule?: string;
  also?: string;
  jitter?: string;
  onGone?: NonNullable<Retry['on_gone']>;
  timeoutMs?: string;
  header?: string[];
  auth?: string[];
  filter?: string;
  rateLimit?: string;
  maxConcurrent?: string;
  signatures?: string;
  probeWhenDown?: boolean;
  ordering?: Ordering | 'none';
  onFailure?: OnFailure;
};

/** The options for the policy of a webhook. The help ends with the meaning of each retry preset and the fields of `--auth`. */
export function addPolicyOptions(command: Command, kind: 'new' | 'change'): Command {
  const isChange = kind === 'change';
  const removable = (text: string) => (isChange ? `${text}; none removes it` : text);
  command
    .addOption(new Option('--retry <preset>', 'how long to retry, see below').choices(retryPresets))
    .option('--schedule <seconds>', 'or the wait before each retry, such as 5,60,300')
    .option('--also <list>', `client errors that are retried: ${retriedClientErrors.join(', ')}`)
    .option('--jitter <share>', 'each wait is longer or shorter by up to this share, 0 to 0.2')
    .addOption(
      new Option('--on-gone <effect>', 'the effect of the response 410').choices(['fail', 'disable']),
    );
  if (isChange)
    command.addOption(
      new Option('--apply-to <deliveries>', 'waiting deliveries get the new schedule, too').choices([
        'waiting',
      ]),
    );
  command
    .option('--timeout-ms <ms>', removable('time limit of an attempt, 1000 to 30000'))
    .option(
      '--header <header>',
      `"Name: value" for each request; repeat it for more; "Name: @file" reads a file, "Name: @-" standard input${
        isChange ? '; "Name:" removes one, an empty text all' : ''
      }`,
      collect,
    )
    .option(
      '--auth <type|name=value>',
      removable('how requests are authenticated, see below; repeat it for more'),
      collect,
    )
    .option('--filter <file>', removable('which events it gets: a file with JSON, - standard input'))
    .option('--rate-limit <attempts/time>', removable('such as 10/1s or 500/15m, an hour at most'))
    .option('--max-concurrent <number>', removable('requests under way at once, 1 to 100'))
    .option('--signatures <list>', `versions in webhook-signature: ${signatureVersions.join(', ')}`)
    .option('--probe-when-down', 'while its receiver is down, one attempt at a time tests it');
  if (isChange) command.option('--no-probe-when-down', 'continue all attempts while its receiver is down');
  command
    .addOption(
      new Option(
        '--ordering <how>',
        removable('deliver one after the other: those of each order key, or all'),
      ).choices([...orderings, ...(isChange ? ['none'] : [])]),
    )
    .addOption(
      new Option(
        '--on-failure <action>',
        'with --ordering: whether the deliveries behind a failed one continue (skip) or wait (block)',
      ).choices(failureActions),
    );
  return command.addHelpText('after', `\n${retryHelp}\n\n${authHelp}`);
}

const retryHelp = ['Presets of --retry:', ...retryPresets.map(presetHelp)].join('\n');

function presetHelp(preset: NonNullable<Retry['preset']>): string {
  return `  ${preset.padEnd(12)}${presetTexts[preset]}`;
}

const authHelp = `Fields of --auth, whose values are those of --auth name=value; @file reads a file, @- standard input:
${authFieldsHelp}
  Such as: --auth bearer --auth token=@token.txt`;

const collect = (text: string, collected: string[] = []): string[] => [...collected, text];

/**
 * The retry policy that the options set; undefined if they set none.
 *
 * @param current the policy of which they change a part
 * @throws Error where an option has no such value
 */
export function retryOf(options: PolicyOptions, current: Retry = { preset: 'page' }): Retry | undefined {
  const { retry: preset, schedule, also, jitter, onGone } = options;
  if (preset !== undefined && schedule !== undefined)
    throw wrongUse('--retry and --schedule exclude each other.');
  const change: Retry = given({
    preset,
    schedule_seconds:
      schedule === undefined ? undefined : partsOf(schedule).map((part) => numberOf('--schedule', part)),
    also: also === undefined ? undefined : (partsOf(also) as NonNullable<Retry['also']>),
    jitter: jitter === undefined ? undefined : numberOf('--jitter', jitter),
    on_gone: onGone,
  });
  if (Object.keys(change).length === 0) return undefined;
  const { preset: _preset, schedule_seconds: _seconds, ...rest } = current;
  return preset === undefined && schedule === undefined ? { ...current, ...change } : { ...rest, ...change };
}

/** The rest of the policy that the options name; null where one is removed. @throws Error */
export async function policyOf(options: PolicyOptions): Promise<Policy> {
  const { timeoutMs, header, auth, filter, rateLimit, maxConcurrent, signatures, probeWhenDown } = options;
  const { ordering, onFailure } = options;
  return given({
    timeout_ms: unlessNone(timeoutMs, (text) => numberOf('--timeout-ms', text)),
    headers: header === undefined ? undefined : await headersOf(header),
    auth: auth === undefined ? undefined : await authOf(auth),
    filter: await unlessNone(filter, filterOf),
    rate_limit: unlessNone(rateLimit, rateLimitOf),
    max_concurrent: unlessNone(maxConcurrent, (text) => numberOf('--max-concurrent', text)),
    signatures: signatures === undefined ? undefined : (partsOf(signatures) as Policy['signatures']),
    probe_when_down: probeWhenDown,
    ordering: unlessNone(ordering, (text) => text as Ordering),
    on_failure: onFailure,
  });
}

/** The whole policy of a new webhook: `none` is as if the option were not there. @throws Error */
export async function newPolicyOf(options: PolicyOptions): Promise<NewPolicy> {
  const policy = { retry: retryOf(options), ...(await policyOf(options)) };
  return Object.fromEntries(
    Object.entries(policy).filter(([, value]) => value !== undefined && value !== null),
  ) as NewPolicy;
}

function unlessNone<T>(text: string | undefined, read: (text: string) => T): T | null | undefined {
  if (text === undefined) return undefined;
  return text === 'none' ? null : read(text);
}

const partsOf = (text: string): string[] => listOf(text).filter((part) => part !== '');

/** @throws Error where it is not a number: JSON would leave it out */
function numberOf(option: string, text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value))
    throw wrongUse(`${option} must be a number, not ${text}.`);
  return value;
}

const secondsPer = { s: 1, m: 60, h: 3600 } as const;

/** @example rateLimitOf('500/15m') // { attempts: 500, seconds: 900 } */
function rateLimitOf(text: string): { attempts: number; seconds: number } {
  const [, attempts, count, unit] = /^(\d+)\/(\d*)([smh])$/.exec(text) ?? [];
  if (attempts === undefined)
    throw wrongUse(`--rate-limit must be attempts/time, such as 10/1s or 500/15m, not ${text}.`);
  const seconds = Number(count === '' ? 1 : count) * secondsPer[unit as keyof typeof secondsPer];
  return { attempts: Number(attempts), seconds };
}

/** An empty text means no headers at all, `Name:` removes one header. @throws Error */
async function headersOf(texts: readonly string[]): Promise<Record<string, string | null> | null> {
  if (texts.length === 1 && texts[0] === '') return null;
  const headers: Record<string, string | null> = {};
  for (const text of texts) {
    const at = text.indexOf(':');
    // Not the text itself: it may be a secret.
    if (at < 1) throw wrongUse('--header must be "Name: value", such as "X-Api-Key: @key.txt".');
    const value = text.slice(at + 1).trim();
    headers[text.slice(0, at).trim()] = value === '' ? null : await readValue(value);
  }
  return headers;
}

/** Of a file, or the JSON itself. @throws Error */
async function filterOf(text: string): Promise<NonNullable<Policy['filter']>> {
  const json = text.trimStart().startsWith('{')
    ? text
    : (await readText(text.startsWith('@') ? text.slice(1) : text)).toString();
  try {
    return JSON.parse(json) as NonNullable<Policy['filter']>;
  } catch (error) {
    throw wrongUse(`--filter is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}
