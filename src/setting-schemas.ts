import { isIP } from 'node:net';
import { z } from 'zod';
import { parseCidrs } from './outbound/address-guard.ts';

export const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d+$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((value) => value >= min && value <= max, `must be a whole number from ${min} to ${max}`);

/** An IPv6 address may be in brackets, as in a URL. */
export const host = z
  .string()
  .min(1)
  .transform((text) => /^\[(.+)\]$/.exec(text)?.[1] ?? text);

const encodeSpecial =
  'percent-encode special characters in user name and password (# as %23, / as %2F, ? as %3F, @ as %40, % as %25)';

export const databaseUrl = z
  .string()
  .regex(/^postgres(ql)?:\/\//, 'must start with postgres:// or postgresql://')
  .refine(
    isWholeUrl,
    `is not a URL like postgres://user:password@host:5432/database: check the port, and ${encodeSpecial}`,
  );

function isWholeUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { username, password, pathname, hash } = new URL(text);
  // An unencoded # or / in a password ends the host part, and the real host ends up in the path or fragment.
  if (hash !== '' || text.includes('#') || pathname.includes('@')) return false;
  try {
    [username, password, pathname].forEach(decodeURIComponent);
    return true;
  } catch {
    return false;
  }
}

export type Outbox = {
  /** In metrics, in the log, at `/readyz`: `service`, or the database's name. */
  name: string;
  /** Null: the service's own database. */
  databaseUrl: string | null;
};

const maxOutboxes = 16;

export const outboxes = z.string().transform((text, context): Outbox[] => {
  const entries = text === '' ? [] : text.split(',').map((entry) => entry.trim());
  const found: Outbox[] = [];
  for (const entry of entries) {
    const parsed = entry === 'service' ? null : databaseUrl.safeParse(entry);
    if (parsed?.success === false)
      context.addIssue(
        `must list \`service\` and URLs of databases, separated by commas (a comma in a password is %2C); one of them ${parsed.error.issues[0]?.message}`,
      );
    else if (found.some((each) => each.databaseUrl === (parsed?.data ?? null)))
      context.addIssue('lists a database twice');
    else found.push({ name: nameOf(parsed?.data, found), databaseUrl: parsed?.data ?? null });
  }
  if (entries.length > maxOutboxes) context.addIssue(`must list at most ${maxOutboxes} databases`);
  return found;
});

/** Not its host: anybody may read `/readyz`. */
function nameOf(url: string | undefined, others: readonly Outbox[]): string {
  if (url === undefined) return 'service';
  const name = decodeURIComponent(new URL(url).pathname.slice(1)) || 'postgres';
  const isUsed = (wanted: string) => wanted === 'service' || others.some((other) => other.name === wanted);
  let unique = name;
  for (let number = 2; isUsed(unique); number += 1) unique = `${name} ${number}`;
  return unique;
}

export const schedule = z
  .string()
  .regex(/^(\d+(,\d+)*)?$/, 'must be seconds separated by commas, such as 60,300,1800')
  .transform((text) => (text === '' ? [] : text.split(',').map(Number)))
  .refine((list) => list.length <= 20, 'must list at most 20 waits')
  .refine(
    (list) => list.every((seconds) => seconds >= 1 && seconds <= 604_800),
    'each wait must be 1 to 604800 s',
  );

export type EncryptionKey = { id: string; key: Buffer };

export const encryptionKeys = z.string().transform((text, context): EncryptionKey[] => {
  const keys = text.split(',').map((entry) => {
    const [id = '', encoded = ''] = entry.trim().split(/:(.*)/s);
    return { id, key: Buffer.from(encoded, 'base64') };
  });
  if (keys.some(({ id, key }) => !/^[A-Za-z0-9_-]{1,40}$/.test(id) || key.length !== 32)) {
    context.addIssue(
      'must be id:base64,… where each key is 32 bytes (create one with `openssl rand -base64 32`)',
    );
  }
  if (new Set(keys.map(({ id }) => id)).size !== keys.length) context.addIssue('contains a duplicate id');
  return keys;
});

export const cidrs = z.string().transform((text, context): string[] => {
  try {
    return parseCidrs(text);
  } catch (error) {
    context.addIssue(error instanceof Error ? error.message : 'is not a list of networks');
    return [];
  }
});

export const ipAndPort = z.string().transform((text, context) => {
  const [, host = '', port = ''] = /^\[?([^[\]]+)\]?:(\d{1,5})$/.exec(text) ?? [];
  if (isIP(host) === 0 || Number(port) < 1 || Number(port) > 65_535) {
    context.addIssue('must be an IP address and a port, such as 127.0.0.1:9464 or [::1]:9464');
  }
  return { text, host, port: Number(port) };
});
