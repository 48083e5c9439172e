/**
 * How the bodies of events and the responses of receivers are stored: unchanged, or sealed with FLTR_ENCRYPT_PAYLOADS.
 * Rows of both kinds are read with either value of the setting. The pool and its connections have it, so that no layer above
 * this one sees the stored form.
 */
export type Payloads = {
  readonly seals: boolean;
  seal(plain: Buffer, context: string): Buffer;
  open(sealed: Buffer, context: string): Buffer;
};
type Database = { payloads?: Payloads | undefined };

type EventKey = { accountId: string; id: string };
type AttemptKey = { deliveryId: string; number: number };
type Response = { headers: Record<string, string>; body: Buffer };
/** `headers`: of a sealed response, its sealed bytes as base64. */
type StoredResponse = { headers: Record<string, string> | string | null; body: Buffer | null };

// An account's id has no colon.
export const bodyContext = ({ accountId, id }: EventKey) => `body:${accountId}:${id}`;
export const headersContext = ({ deliveryId, number }: AttemptKey) =>
  `response-headers:${deliveryId}:${number}`;
export const responseContext = ({ deliveryId, number }: AttemptKey) =>
  `response-body:${deliveryId}:${number}`;

/** A body is JSON, so it begins with a brace. */
const isSealed = (body: Buffer): boolean => body[0] === 1;

function open({ payloads }: Database, sealed: Buffer, context: string): Buffer {
  if (!payloads) throw new Error('A sealed payload needs the encryption keys');
  return payloads.open(sealed, context);
}

/** The stored form of an event's body. */
export const bodyToStore = ({ payloads }: Database, event: EventKey & { body: Buffer }): Buffer =>
  payloads?.seals ? payloads.seal(event.body, bodyContext(event)) : event.body;

/** The body of an event, from its stored form. @throws UnopenableError */
export const storedBody = (db: Database, event: EventKey, stored: Buffer): Buffer =>
  isSealed(stored) ? open(db, stored, bodyContext(event)) : stored;

/** The stored form of a response, with its headers as JSON. */
export function responseToStore(
  { payloads }: Database,
  attempt: AttemptKey,
  response: Response | null,
): { headers: string | null; body: Buffer | null } {
  if (!response) return { headers: null, body: null };
  const headers = JSON.stringify(response.headers);
  if (!payloads?.seals) return { headers, body: response.body };
  const sealed = payloads.seal(Buffer.from(headers), headersContext(attempt));
  return {
    headers: JSON.stringify(sealed.toString('base64')),
    body: payloads.seal(response.body, responseContext(attempt)),
  };
}

/** A response, from its stored form; null: there is none. @throws UnopenableError */
export function storedResponse(
  db: Database,
  attempt: AttemptKey,
  { headers, body }: StoredResponse,
): Response | null {
  if (headers === null) return null;
  if (typeof headers !== 'string') return { headers, body: body ?? Buffer.alloc(0) };
  const opened = open(db, Buffer.from(headers, 'base64'), headersContext(attempt)).toString();
  return {
    headers: JSON.parse(opened) as Record<string, string>,
    body: body ? open(db, body, responseContext(attempt)) : Buffer.alloc(0),
  };
}
