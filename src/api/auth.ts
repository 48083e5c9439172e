import type { AuditAction } from '../contracts/audit.ts';
import { accountHeader, accountIdPattern } from '../contracts/id.ts';
import { isServiceScope } from '../contracts/key.ts';
import { accountExists } from '../db/accounts.ts';
import { findApiKey, type ApiKey, type Environment } from '../db/api-keys-table.ts';
import { insertAuditRecord } from '../db/audit-records.ts';
import type { Queryable } from '../db/pool.ts';
import { ApiError } from '../errors.ts';
import { digestOfKey, type Scope } from '../security/api-keys.ts';

/** The digest of the request's key. @throws ApiError unauthorized where it has none */
export function digestOfAuthorization(authorization: string | undefined): Buffer {
  const [, token] = /^Bearer +(\S{1,200}) *$/i.exec(authorization ?? '') ?? [];
  if (token === undefined)
    throw new ApiError('unauthorized', 'Send the header "Authorization: Bearer <API key>".');
  return digestOfKey(token);
}

/** @throws ApiError unauthorized for null */
export function requireKey<Key extends ApiKey>(key: Key | null): Key {
  if (!key) throw new ApiError('unauthorized', 'This API key is unknown or was revoked.');
  return key;
}

/** The key of a request. @throws ApiError unauthorized */
export async function authenticate(
  db: Queryable,
  authorization: string | undefined,
  environment: Environment,
): Promise<ApiKey> {
  return requireKey(await findApiKey(db, digestOfAuthorization(authorization), environment));
}

/** @throws ApiError missing_scope, or service_key_required */
export function requireScope(key: ApiKey, scope: Scope | null): void {
  if (scope === null) return;
  if (key.accountId !== null && isServiceScope(scope))
    throw new ApiError('service_key_required', `This call needs a service key with the scope ${scope}.`);
  if (!key.scopes.includes(scope))
    throw new ApiError('missing_scope', `This call needs a key with the scope ${scope}.`);
}

/**
 * A service key that acts for the account of the header; without the header, the key itself.
 *
 * @throws ApiError service_key_required where an account's key names another account
 */
export function actFor(key: ApiKey, header: string | string[] | undefined): ApiKey {
  if (header === undefined || header === key.accountId) return key;
  if (key.accountId !== null)
    throw new ApiError(
      'service_key_required',
      `This key acts for its own account only. Leave out the header ${accountHeader}.`,
    );
  return { ...key, accountId: String(header), isActing: true };
}

/** @throws ApiError account_key_required for a service key that names no account; not_found for an unknown account */
export async function requireAccount(db: Queryable, key: ApiKey): Promise<void> {
  const accountId = accountOf(key);
  if (!key.isActing) return;
  if (!accountIdPattern.test(accountId) || !(await accountExists(db, accountId))) throw noSuchAccount();
}

export const noSuchAccount = () => new ApiError('not_found', 'There is no such account.');

/**
 * The account of a call: the key's own, or the one that a service key acts for.
 *
 * @throws ApiError account_key_required for a service key that names none
 */
export function accountOf(key: ApiKey): string {
  if (key.accountId === null) {
    throw new ApiError(
      'account_key_required',
      `A service key acts for an account: name it in the header ${accountHeader}. Or use a key of the account.`,
    );
  }
  return key.accountId;
}

/** Records an action on an account and the key that did it. `fields`: the fields that a change named. */
export function audit(
  db: Queryable,
  key: ApiKey,
  action: AuditAction,
  target: string,
  fields: readonly string[] = [],
): Promise<void> {
  return insertAuditRecord(db, { accountId: accountOf(key), actor: key.id, action, target, fields });
}
