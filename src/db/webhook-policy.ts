import type { WebhookFilter } from '../contracts/filter.ts';
import type {
  HealthState,
  OnFailure,
  Ordering,
  PolicyChange,
  RateLimit,
  RetryPolicy,
  ShownWebhookAuth,
  SignatureVersion,
} from '../contracts/webhook-policy.ts';
import { ownPolicy, scheduleOf } from '../domain/retry-policy.ts';
import { checkBlockedLines } from './delivery-lines.ts';
import { onlyRow, type Client, type Queryable } from './pool.ts';
import { checkQueue } from './queue-checks.ts';

/** A webhook's policy, and its health, as its row has them. Null: the default. */
export type PolicyRow = {
  retry: RetryPolicy | null;
  timeoutMs: number | null;
  headerNames: string[];
  sealedHeaders: string | null;
  auth: ShownWebhookAuth | null;
  sealedAuth: string | null;
  filter: WebhookFilter | null;
  rateLimit: RateLimit | null;
  maxConcurrent: number | null;
  signatures: SignatureVersion[];
  /** The ed25519 key pair. Once made it is kept, also where `signatures` no longer has v1a. */
  sealedSigningKey: string | null;
  /** Signs as long as the previous secret does. */
  previousSealedSigningKey: string | null;
  probeWhenDown: boolean;
  ordering: Ordering | null;
  onFailure: OnFailure;
  /** Lines that a failed delivery blocks, counted up to 1,000. */
  blockedLines: number;
  healthState: HealthState;
  healthSince: Date | null;
  nextProbeAt: Date | null;
  pausedAt: Date | null;
  pausedUntil: Date | null;
  pauseReason: string | null;
};

export const policyColumns = `retry, timeout_ms as "timeoutMs", header_names as "headerNames",
  sealed_headers as "sealedHeaders", auth, sealed_auth as "sealedAuth", filter, rate_limit as "rateLimit",
  max_concurrent as "maxConcurrent", signatures, sealed_signing_key as "sealedSigningKey",
  previous_sealed_signing_key as "previousSealedSigningKey", probe_when_down as "probeWhenDown",
  ordering, on_failure as "onFailure", case when on_failure = 'skip' then 0 else (
    select count(*)::int from (select from delivery_lines l where l.webhook_id = webhooks.id and l.blocked_at is not null limit 1000) as b
  ) end as "blockedLines", health_state as "healthState",
  health_since as "healthSince", next_probe_at as "nextProbeAt", paused_at as "pausedAt",
  paused_until as "pausedUntil", pause_reason as "pauseReason"`;

/** The columns from which a webhook's public keys are made. */
export type SigningKeysRow = Pick<
  PolicyRow,
  'signatures' | 'sealedSigningKey' | 'previousSealedSigningKey'
> & {
  previousSecretUntil: Date | null;
};

/** Of any account. Null: there is no such webhook. */
export async function findSigningKeys(db: Queryable, id: string): Promise<SigningKeysRow | null> {
  const { rows } = await db.query<SigningKeysRow>(
    `select signatures, sealed_signing_key as "sealedSigningKey", previous_sealed_signing_key as "previousSealedSigningKey",
       previous_secret_until as "previousSecretUntil"
     from webhooks where id = $1 and deleted_at is null`,
    [id],
  );
  return rows[0] ?? null;
}

/** The parts of a policy that hold secrets, sealed, and their readable parts. */
export type PolicySecrets = Pick<PolicyRow, 'headerNames' | 'sealedHeaders' | 'auth' | 'sealedAuth'>;

/** The contexts that seal them, for the webhook with this id. */
export const headersContext = (id: string): string => `${id} headers`;
export const authContext = (id: string): string => `${id} auth`;

/** A change, with the fields that only the service sets. */
export type PolicyToWrite = PolicyChange & {
  /** With `retry`: waiting deliveries get the new schedule, too. */
  apply_to?: 'waiting' | undefined;
  /** The secrets after the change of the webhook with this id. It may throw, and then nothing is changed. */
  changeSecrets?: ((id: string, stored: PolicySecrets) => PolicySecrets) | undefined;
  /** Makes a sealed ed25519 key for the webhook with this id. It is stored where the webhook has none. */
  sealSigningKey?: ((id: string) => string) | undefined;
};

/** Writes the fields that a change of the policy names; the caller has locked the webhook's row. Returns whether it names anything. */
export async function writePolicy(client: Client, id: string, change: PolicyToWrite): Promise<boolean> {
  const values: unknown[] = [id];
  const set = (column: string, value: unknown): string[] =>
    value === undefined ? [] : [`${column} = $${values.push(value)}`];
  const setOnce = (column: string, value: unknown): string[] =>
    value === undefined ? [] : [`${column} = coalesce(${column}, $${values.push(value)})`];
  const schedule = change.retry === undefined ? undefined : scheduleOf(change.retry);
  const assignments = [
    ...set('retry', change.retry && ownPolicy(change.retry)),
    ...set('schedule', schedule),
    ...(change.apply_to === 'waiting'
      ? [...set('applied_schedule', schedule), 'schedule_applied_at = clock_timestamp()']
      : []),
    ...set('timeout_ms', change.timeout_ms),
    ...set('filter', change.filter),
    ...set('rate_limit', change.rate_limit),
    ...set('max_concurrent', change.max_concurrent),
    ...set('signatures', change.signatures === null ? ['v1'] : change.signatures),
    ...setOnce('sealed_signing_key', change.sealSigningKey?.(id)),
    ...set('probe_when_down', change.probe_when_down === null ? false : change.probe_when_down),
    ...set('ordering', change.ordering),
    ...set('on_failure', change.on_failure === null ? 'skip' : change.on_failure),
    ...(await secretsToSet(client, id, change)).flatMap(([column, value]) => set(column, value)),
  ];
  if (assignments.length === 0) return false;
  await client.query(`update webhooks set ${assignments.join(', ')} where id = $1`, values);
  if (change.on_failure === 'skip' || change.on_failure === null) await checkBlockedLines(client, id);
  // The times of all that wait follow from the limits.
  if (change.rate_limit !== undefined || change.max_concurrent !== undefined) await checkQueue(client, id);
  return true;
}

async function secretsToSet(
  client: Client,
  id: string,
  { changeSecrets }: PolicyToWrite,
): Promise<[column: string, value: unknown][]> {
  if (!changeSecrets) return [];
  const { rows } = await client.query<PolicySecrets>(
    `select header_names as "headerNames", sealed_headers as "sealedHeaders", auth, sealed_auth as "sealedAuth"
     from webhooks where id = $1`,
    [id],
  );
  const changed = changeSecrets(id, onlyRow(rows, 'secrets'));
  return [
    ['header_names', changed.headerNames],
    ['sealed_headers', changed.sealedHeaders],
    ['auth', changed.auth],
    ['sealed_auth', changed.sealedAuth],
  ];
}
