import type { PolicyChange, WebhookAuth } from '../../contracts/webhook-policy.ts';
import {
  authContext,
  headersContext,
  type PolicySecrets,
  type PolicyToWrite,
} from '../../db/webhook-policy.ts';
import type { Deps } from '../../deps.ts';
import {
  changeHeaders,
  findFaultOfAll,
  findHeaderFaults,
  type CustomHeaders,
} from '../../domain/custom-headers.ts';
import { setsAuthorization, shownAuth } from '../../domain/webhook-auth.ts';
import type { FieldError } from '../../errors.ts';
import { findCertificateFault } from '../../outbound/certificate-faults.ts';
import { findHostFault } from '../../outbound/host-faults.ts';
import { fault, toPointer, validationError } from '../problem-details.ts';

type Given = Pick<PolicyChange, 'headers' | 'auth'>;
type SecretsDeps = Pick<Deps, 'secretBox' | 'headerStyle' | 'guard'>;
/** `replaces`: headers and auth that the body leaves out are removed, and headers are not merged. */
type Kind = 'changes' | 'replaces';

/**
 * Checks the headers and auth of a policy, and adds the function that changes the stored ones.
 *
 * @throws ApiError validation_failed; the change itself may throw it, too
 */
export function withSecrets<Policy extends Given>(
  deps: SecretsDeps,
  policy: Policy,
  kind: Kind,
): Policy & Pick<PolicyToWrite, 'changeSecrets'> {
  const { headers, auth } = policy;
  if (auth) requireAuth(deps, auth);
  if (headers === undefined && auth === undefined && kind === 'changes') return policy;
  return {
    ...policy,
    changeSecrets: (id, stored) => changeSecrets(deps, id, stored, { headers, auth }, kind),
  };
}

function changeSecrets(
  deps: SecretsDeps,
  id: string,
  stored: PolicySecrets,
  { headers, auth }: Given,
  kind: Kind,
): PolicySecrets {
  const keeps = (given: unknown): boolean => given === undefined && kind === 'changes';
  const ofAuth = keeps(auth) ? stored : sealAuth(deps, id, auth ?? null);
  const isMerged = headers !== null && kind === 'changes';
  const before = isMerged ? openHeaders(deps, id, stored) : [];
  const after = changeHeaders(before, headers ?? {});
  requireHeaders(deps, after, headers ?? {}, ofAuth.auth);
  const ofHeaders = keeps(headers) ? stored : sealHeaders(deps, id, after);
  return {
    auth: ofAuth.auth,
    sealedAuth: ofAuth.sealedAuth,
    headerNames: ofHeaders.headerNames,
    sealedHeaders: ofHeaders.sealedHeaders,
  };
}

const sealAuth = ({ secretBox }: SecretsDeps, id: string, auth: WebhookAuth | null) => ({
  auth: auth && shownAuth(auth),
  sealedAuth: auth && secretBox.seal(JSON.stringify(auth), authContext(id)),
});

const openHeaders = ({ secretBox }: SecretsDeps, id: string, { sealedHeaders }: PolicySecrets) =>
  sealedHeaders === null
    ? []
    : (JSON.parse(secretBox.open(sealedHeaders, headersContext(id))) as CustomHeaders);

const sealHeaders = ({ secretBox }: SecretsDeps, id: string, headers: CustomHeaders) => ({
  headerNames: headers.map(([name]) => name),
  sealedHeaders: headers.length === 0 ? null : secretBox.seal(JSON.stringify(headers), headersContext(id)),
});

/** Of the stored ones, only Authorization can be wrong by now. */
function requireHeaders(
  { headerStyle }: SecretsDeps,
  headers: CustomHeaders,
  given: NonNullable<Given['headers']>,
  auth: PolicySecrets['auth'],
): void {
  const checked = headers.filter(
    ([name]) => Object.hasOwn(given, name) || name.toLowerCase() === 'authorization',
  );
  const faults = findHeaderFaults(checked, headerStyle, setsAuthorization(auth)).map(({ name, message }) =>
    fault(toPointer(['headers', name]), message),
  );
  const faultOfAll = findFaultOfAll(headers);
  if (faultOfAll !== null) faults.unshift(fault('/headers', faultOfAll));
  if (faults.length > 0) throw validationError(faults);
}

function requireAuth({ guard }: SecretsDeps, auth: WebhookAuth): void {
  const faults: FieldError[] = [];
  if (auth.type === 'oauth2') {
    const verdict = guard.checkUrl(auth.token_url);
    const message = verdict.ok ? findHostFault(verdict.url.hostname) : verdict.message;
    if (message !== null) faults.push({ pointer: '/auth/token_url', message });
  }
  if (auth.type === 'mtls') {
    const found = findCertificateFault(auth, new Date());
    if (found) faults.push(fault(`/auth/${found.part}`, found.message));
  }
  if (faults.length > 0) throw validationError(faults);
}
