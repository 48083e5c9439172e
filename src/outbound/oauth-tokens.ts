import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { describeAttemptError } from '../domain/outcome.ts';
import { readTokenResponse } from './token-response.ts';
import type { Sender, SendResult } from './sender.ts';

/** Whom to request an access token from, and as whom: OAuth 2.0 client credentials. */
export type TokenSource = {
  tokenUrl: string;
  clientId: string;
  clientSecret: string;
  scope?: string | undefined;
  audience?: string | undefined;
};

type TokenRequest = {
  /** Whose token it is. */
  webhookId: string;
  accountId: string;
  isTest?: boolean | undefined;
  source: TokenSource;
  /** How long it may take, in milliseconds. */
  timeoutMs: number;
};

/** `isKept`: it was fetched for an earlier attempt, so that it may have been revoked since. */
type Token =
  | { kind: 'token'; token: string; isKept: boolean; durationMs: number }
  /** `detail`: why, in words for the webhook's owner. */
  | { kind: 'failed'; detail: string; startedAt: Date; durationMs: number };

export type OAuthTokens = {
  /** @throws SenderBusy where nothing was sent */
  get(request: TokenRequest): Promise<Token>;
  /** Forgets a token that the receiver refused, unless another one is kept by now. */
  drop(webhookId: string, token: string): void;
  /** How many tokens are in memory. */
  count(): number;
};

/** Tokens of 8 KiB at most. */
const maxTokens = 1_000;
/** A token is not used in the last minute before it expires: clocks differ, and the request is on its way for a while. */
const beforeExpirySeconds = 60;

/** A token that does not live for longer than that is kept for a moment, for the attempts of this moment. */
const momentSeconds = 2;

const keepSeconds = (expiresInSeconds: number): number =>
  Math.max(expiresInSeconds - beforeExpirySeconds, Math.min(momentSeconds, expiresInSeconds / 2));

type Kept = { token: string; sourceDigest: string };

/**
 * Makes the function that gets access tokens: kept ones, else new ones by the given sender, so through the same address guard.
 * A token is kept in this process's memory until a minute before it expires, and only for the source that it came from. Calls
 * for the same webhook at the same time share one request.
 *
 * The request authenticates by HTTP Basic. Redirects are not followed. Of a response, 16 KiB are read at most.
 * Source: RFC 6749, 2.3.1 and 4.4.
 *
 * @example
 * const tokens = createOAuthTokens({ send: sender.send, userAgent: 'FLTR-Webhooks/1.0' });
 * const got = await tokens.get({ webhookId, accountId, source, timeoutMs: 5_000 });
 * if (got.kind === 'token') headers.Authorization = `Bearer ${got.token}`;
 */
export function createOAuthTokens({
  send,
  userAgent,
}: Pick<Sender, 'send'> & { userAgent: string }): OAuthTokens {
  // Purged by timers: a token that nobody needs again leaves the memory as well.
  const kept = new LRUCache<string, Kept>({ max: maxTokens, ttlAutopurge: true, ttl: 1 });
  const underWay = new Map<string, Promise<Token>>();

  async function fetchToken(request: TokenRequest, sourceDigest: string): Promise<Token> {
    const { webhookId, source, ...rest } = request;
    const requestedAt = performance.now();
    const sent = await send({
      ...rest,
      url: source.tokenUrl,
      headers: { ...headersFor(source), 'User-Agent': userAgent },
      body: bodyFor(source),
    });
    const { startedAt, durationMs } = sent;
    const read = readResult(sent);
    if ('detail' in read) return { kind: 'failed', detail: read.detail, startedAt, durationMs };
    const usedMs = performance.now() - requestedAt;
    const keepMs = Math.floor(keepSeconds(read.expiresInSeconds) * 1000 - usedMs);
    if (keepMs > 0) kept.set(webhookId, { token: read.token, sourceDigest }, { ttl: keepMs });
    return { kind: 'token', token: read.token, isKept: false, durationMs };
  }

  return {
    async get(request) {
      const { webhookId, source } = request;
      const sourceDigest = digestOf(source);
      const found = kept.get(webhookId);
      if (found?.sourceDigest === sourceDigest)
        return { kind: 'token', token: found.token, isKept: true, durationMs: 0 };
      const key = `${webhookId} ${sourceDigest}`;
      const joined = underWay.get(key);
      if (joined) return join(joined, request.timeoutMs);
      const running = fetchToken(request, sourceDigest).finally(() => underWay.delete(key));
      underWay.set(key, running);
      return running;
    },
    drop(webhookId, token) {
      if (kept.peek(webhookId)?.token === token) kept.delete(webhookId);
    },
    count: () => kept.size,
  };
}

/** Waits for another attempt's request, for so many milliseconds at most. */
async function join(running: Promise<Token>, timeoutMs: number): Promise<Token> {
  const startedAt = new Date();
  const start = performance.now();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Token>((resolve) => {
    timer = setTimeout(() => {
      const detail = 'No access token came within the time limit.';
      resolve({ kind: 'failed', detail, startedAt, durationMs: timeoutMs });
    }, timeoutMs);
  });
  const got = await Promise.race([running, late]).finally(() => clearTimeout(timer));
  const durationMs = Math.round(performance.now() - start);
  return got.kind === 'token' ? { ...got, durationMs } : { ...got, startedAt, durationMs };
}

const digestOf = ({ tokenUrl, clientId, clientSecret, scope, audience }: TokenSource): string =>
  createHash('sha256')
    .update(JSON.stringify([tokenUrl, clientId, clientSecret, scope, audience]))
    .digest('base64');

function headersFor({ clientId, clientSecret }: TokenSource): Record<string, string> {
  const credentials = `${formEncode(clientId)}:${formEncode(clientSecret)}`;
  return {
    Authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
    'Content-Type': 'application/x-www-form-urlencoded',
    Accept: 'application/json',
  };
}

function bodyFor({ scope, audience }: TokenSource): Buffer {
  const parameters = new URLSearchParams({ grant_type: 'client_credentials' });
  if (scope !== undefined) parameters.set('scope', scope);
  if (audience !== undefined) parameters.set('audience', audience);
  return Buffer.from(parameters.toString());
}

/** As RFC 6749, 2.3.1 wants it for both parts of the credentials. */
const formEncode = (text: string): string => new URLSearchParams({ '': text }).toString().slice(1);

function readResult(sent: SendResult): ReturnType<typeof readTokenResponse> {
  if (sent.kind === 'responded') return readTokenResponse(sent);
  const reason = describeAttemptError(sent.code, null, sent.detail ?? null);
  return { detail: `No access token, for the token URL did not respond. ${reason}` };
}
