import type { Webhook } from '../../contracts/webhook.ts';
import {
  signatureVersions,
  type Ordering,
  type PolicyChange,
  type RetryPolicy,
  type SignatureVersion,
  type retryPresets,
} from '../../contracts/webhook-policy.ts';
import type { FltrWebhooks } from '../../client/fltr-webhooks.ts';
import { filterDraftOf, filterIn, noFilter, type FilterDraft } from './filter-draft.ts';
import { numberIn, requireNone, type FormFaults } from './form-faults.ts';
import { waitsIn, waitsText } from './waits.ts';

export type RetryPreset = (typeof retryPresets)[number];
export type ClientError = NonNullable<RetryPolicy['also']>[number];
export type RetryDraft = {
  preset: RetryPreset | 'own';
  /** Of `own`. */
  schedule: string;
  also: readonly ClientError[];
  jitterPercent: string;
  isDisabledWhenGone: boolean;
};

/** `isSet`: the webhook has it. Its value is kept if none is written. */
export type HeaderDraft = { name: string; value: string; isSet: boolean };

export type AuthType = NonNullable<Webhook['auth']>['type'];
export type AuthField = (typeof authFields)[AuthType][number]['name'];
export type AuthDraft = {
  type: AuthType | 'none';
  /** It stays as the webhook has it. */
  isKept: boolean;
  fields: Partial<Record<AuthField, string>>;
};

export const authFields = {
  basic: [
    { name: 'username', label: 'User name' },
    { name: 'password', label: 'Password', isSecret: true },
  ],
  bearer: [{ name: 'token', label: 'Token', isSecret: true }],
  oauth2: [
    {
      name: 'token_url',
      label: 'URL of the token server',
      hint: 'Access tokens are fetched from it, with the client id and secret by HTTP Basic.',
    },
    { name: 'client_id', label: 'Client id' },
    { name: 'client_secret', label: 'Client secret', isSecret: true },
    { name: 'scope', label: 'Scope', isOptional: true },
    { name: 'audience', label: 'Audience', isOptional: true },
  ],
  mtls: [
    { name: 'certificate', label: 'Certificate, in PEM', isLong: true },
    { name: 'key', label: 'Private key, in PEM', isLong: true },
    {
      name: 'ca',
      label: "CA of the receiver's certificate, in PEM",
      hint: 'With it, the receiver is verified with that alone. Empty: with the public authorities.',
      isLong: true,
      isOptional: true,
    },
  ],
} as const satisfies Record<AuthType, readonly AuthFieldInfo[]>;

export type AuthFieldInfo = {
  name: string;
  label: string;
  hint?: string;
  isSecret?: true;
  isLong?: true;
  isOptional?: true;
};

/** The policy as the form has it. */
export type PolicyDraft = {
  retry: RetryDraft;
  appliesToWaiting: boolean;
  timeoutMs: string;
  headers: readonly HeaderDraft[];
  auth: AuthDraft;
  filter: FilterDraft;
  rateAttempts: string;
  rateSeconds: string;
  maxConcurrent: string;
  signatures: readonly SignatureVersion[];
  probesWhenDown: boolean;
  ordering: Ordering | 'none';
  blocksOnFailure: boolean;
};

export const defaultPolicy: PolicyDraft = {
  retry: { preset: 'page', schedule: '', also: [], jitterPercent: '', isDisabledWhenGone: false },
  appliesToWaiting: false,
  timeoutMs: '',
  headers: [],
  auth: { type: 'none', isKept: false, fields: {} },
  filter: noFilter,
  rateAttempts: '',
  rateSeconds: '1',
  maxConcurrent: '',
  signatures: ['v1'],
  probesWhenDown: false,
  ordering: 'none',
  blocksOnFailure: false,
};

const textOf = (value: number | null): string => (value === null ? '' : String(value));

function authDraftOf(auth: Webhook['auth']): AuthDraft {
  if (auth === null) return defaultPolicy.auth;
  const { type, username = '', token_url = '', client_id = '', scope = '', audience = '' } = auth;
  return { type, isKept: true, fields: { username, token_url, client_id, scope, audience } };
}

/** A webhook's policy as the form shows it. */
export function policyDraftOf(webhook: Webhook): PolicyDraft {
  const { retry, auth, rate_limit: rate } = webhook;
  return {
    retry: {
      preset: retry.preset ?? 'own',
      schedule: waitsText(retry.schedule_seconds ?? []),
      also: retry.also ?? [],
      jitterPercent: retry.jitter ? String(Math.round(retry.jitter * 10_000) / 100) : '',
      isDisabledWhenGone: retry.on_gone === 'disable',
    },
    appliesToWaiting: false,
    timeoutMs: textOf(webhook.timeout_ms),
    headers: Object.keys(webhook.headers).map((name) => ({ name, value: '', isSet: true })),
    auth: authDraftOf(auth),
    filter: filterDraftOf(webhook.filter),
    rateAttempts: textOf(rate?.attempts ?? null),
    rateSeconds: textOf(rate?.seconds ?? 1),
    maxConcurrent: textOf(webhook.max_concurrent),
    signatures: signatureVersions.filter((version) => webhook.signatures.includes(version)),
    probesWhenDown: webhook.probe_when_down,
    ordering: webhook.ordering ?? 'none',
    blocksOnFailure: webhook.on_failure === 'block',
  };
}

function retryIn(draft: RetryDraft, faults: FormFaults): RetryPolicy {
  const { preset, schedule, also, jitterPercent, isDisabledWhenGone } = draft;
  const jitter = numberIn(jitterPercent, '/retry/jitter', faults);
  const waits = preset === 'own' ? waitsIn(schedule) : null;
  if (preset === 'own' && waits === null)
    faults.push({
      pointer: '/retry/schedule_seconds',
      message: 'Write the waits, separated by commas, such as 5 s, 5 min, 2 h.',
    });
  return {
    ...(preset === 'own' ? { schedule_seconds: waits ?? [] } : { preset }),
    ...(also.length > 0 ? { also: [...also] } : {}),
    ...(jitter === null || jitter === 0 ? {} : { jitter: Math.round(jitter * 100) / 10_000 }),
    ...(isDisabledWhenGone ? { on_gone: 'disable' } : {}),
  };
}

/** The fields that are plain values; null: the default. */
function plainIn(draft: PolicyDraft, faults: FormFaults) {
  const attempts = numberIn(draft.rateAttempts, '/rate_limit/attempts', faults);
  return {
    retry: retryIn(draft.retry, faults),
    timeout_ms: numberIn(draft.timeoutMs, '/timeout_ms', faults),
    filter: filterIn(draft.filter, faults),
    rate_limit:
      attempts === null
        ? null
        : { attempts, seconds: numberIn(draft.rateSeconds, '/rate_limit/seconds', faults) ?? 0 },
    max_concurrent: numberIn(draft.maxConcurrent, '/max_concurrent', faults),
    signatures: draft.signatures.join() === 'v1' ? null : [...draft.signatures],
    probe_when_down: draft.probesWhenDown || null,
    ordering: draft.ordering === 'none' ? null : draft.ordering,
    on_failure: draft.blocksOnFailure ? ('block' as const) : null,
  };
}

/** Those to set, and those of before that are to be removed. Undefined: nothing changes. */
function headersIn(draft: PolicyDraft, before: PolicyDraft, faults: FormFaults) {
  const headers: Record<string, string | null> = {};
  for (const { name, isSet } of before.headers)
    if (isSet && !draft.headers.some((each) => each.isSet && each.name === name)) headers[name] = null;
  for (const { name, value, isSet } of draft.headers) {
    if (isSet ? value === '' : name.trim() === '' && value === '') continue;
    if (name.trim() === '') faults.push({ pointer: '/headers', message: 'Write the name of each header.' });
    headers[name.trim()] = value;
  }
  return Object.keys(headers).length === 0 ? undefined : headers;
}

function authIn({ auth }: PolicyDraft, before: PolicyDraft): PolicyChange['auth'] {
  if (auth.isKept) return undefined;
  if (auth.type === 'none') return before.auth.type === 'none' ? undefined : null;
  const fields = Object.fromEntries(
    authFields[auth.type].flatMap((field: AuthFieldInfo) => {
      const value = auth.fields[field.name as AuthField] ?? '';
      return value === '' && field.isOptional ? [] : [[field.name, field.isLong ? value.trim() : value]];
    }),
  );
  return { type: auth.type, ...fields } as PolicyChange['auth'];
}

type NewPolicy = Pick<Parameters<FltrWebhooks['createWebhook']>[0], keyof PolicyChange>;

/** The policy of a new webhook, without defaults. @throws FltrWebhooksError as `policyChangeIn` */
export function newPolicyIn(draft: PolicyDraft): NewPolicy {
  // Nothing is removed where nothing was.
  return policyChangeIn(draft, defaultPolicy) as NewPolicy;
}

/**
 * What a draft changes, for a PATCH: a field that is as before is not in it, `null` sets the default.
 *
 * @throws FltrWebhooksError where a field has no value that can be sent
 */
export function policyChangeIn(
  draft: PolicyDraft,
  before: PolicyDraft,
): PolicyChange & { apply_to?: 'waiting' } {
  const faults: FormFaults = [];
  const [now, then] = [plainIn(draft, faults), plainIn(before, [])];
  const headers = headersIn(draft, before, faults);
  const auth = authIn(draft, before);
  requireNone(faults);
  const changed = Object.fromEntries(
    Object.entries(now).filter(
      ([name, value]) => JSON.stringify(value) !== JSON.stringify(then[name as keyof typeof then]),
    ),
  );
  return {
    ...changed,
    ...(headers === undefined ? {} : { headers }),
    ...(auth === undefined ? {} : { auth }),
    ...(draft.appliesToWaiting ? { retry: now.retry, apply_to: 'waiting' } : {}),
  };
}
