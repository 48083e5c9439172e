import type { HttpResponse } from './exchange.ts';

type TokenResponse = Pick<HttpResponse, 'statusCode' | 'body' | 'truncated'>;

/** Where the response does not say how long the token is valid. */
const defaultSeconds = 300;
/** A longer life is not believed: a token is requested anew at least once a day. */
const maxSeconds = 86_400;
const maxTokenCharacters = 8_192;

/** RFC 6749, 5.2, and RFC 8707. No other text of the response is shown: it might repeat the credentials. */
const knownErrors: Readonly<Record<string, string>> = {
  invalid_client: 'Check client_id and client_secret.',
  unauthorized_client: 'Allow the grant type client_credentials for this client.',
  unsupported_grant_type: 'It must support the grant type client_credentials.',
  invalid_scope: 'Check scope.',
  invalid_target: 'Check audience.',
  invalid_request: 'Check scope and audience.',
  invalid_grant: 'Check the client at the authorization server.',
  access_denied: 'Check the permissions of this client at the authorization server.',
};

/**
 * Reads the response of a token URL: the access token and for how many seconds it is valid, else why there is none, in words.
 * The words contain nothing that came with the response but its status and an error code of the standard.
 * Source: RFC 6749, 5.1 and 5.2.
 *
 * @example
 * readTokenResponse({ statusCode: 401, body: Buffer.from('{"error":"invalid_client"}'), truncated: false })
 * // { detail: 'No access token: the token URL responded 401 (invalid_client). Check client_id and client_secret.' }
 */
export function readTokenResponse({
  statusCode,
  body,
  truncated,
}: TokenResponse): { token: string; expiresInSeconds: number } | { detail: string } {
  const json = parseJson(body);
  if (statusCode !== 200) return { detail: describeStatus(statusCode, json) };
  const refuse = (fault: string) => ({ detail: `No access token: the response of the token URL ${fault}` });
  if (truncated) return refuse('is larger than 16 KiB, or its end did not come within the time limit.');
  const { access_token: token, token_type: type = 'bearer', expires_in: seconds } = json;
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token) || token.length > maxTokenCharacters)
    return refuse(
      `must be JSON with an access_token of at most ${maxTokenCharacters} visible ASCII characters.`,
    );
  if (typeof type !== 'string' || type.toLowerCase() !== 'bearer')
    return refuse('has a token_type other than Bearer.');
  // Some send the number as text.
  const validSeconds = Number(seconds ?? defaultSeconds);
  return {
    token,
    expiresInSeconds: Math.min(maxSeconds, Number.isFinite(validSeconds) ? validSeconds : defaultSeconds),
  };
}

function describeStatus(statusCode: number, { error }: Record<string, unknown>): string {
  const known = typeof error === 'string' && Object.hasOwn(knownErrors, error) ? knownErrors[error] : null;
  const failure = `No access token: the token URL responded ${statusCode}`;
  if (known) return `${failure} (${String(error)}). ${known}`;
  if (statusCode >= 300 && statusCode <= 399)
    return `${failure}. Redirects are not followed: set token_url to the final address.`;
  if (statusCode === 401 || statusCode === 403) return `${failure}. Check client_id and client_secret.`;
  return statusCode >= 500
    ? `${failure}: a fault of the authorization server.`
    : `${failure}. It must respond 200 with JSON.`;
}

/** Its members; none where it is not a JSON object. */
function parseJson(body: Buffer): Record<string, unknown> {
  try {
    const json: unknown = JSON.parse(body.toString());
    return typeof json === 'object' && json !== null ? { ...json } : {};
  } catch {
    return {};
  }
}
