import { z } from 'zod';
import { isEmailAddress } from './domain/email-addresses.ts';

export type SmtpServer = {
  host: string;
  port: number;
  /** TLS from the start. */
  isTls: boolean;
  credentials: { user: string; pass: string } | null;
};

const smtpRule =
  'must be a URL such as smtps://user:password@smtp.example.com:465 or smtp://localhost:25; percent-encode special characters in user name and password';

/** @throws URIError where a `%` encodes nothing */
function smtpServerOf(text: string): SmtpServer | null {
  if (!URL.canParse(text)) return null;
  const { protocol, hostname, port, username, password, pathname, search, hash } = new URL(text);
  const isTls = protocol === 'smtps:';
  if (!isTls && protocol !== 'smtp:') return null;
  if (hostname === '' || !['', '/'].includes(pathname) || search !== '' || hash !== '') return null;
  return {
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: port === '' ? (isTls ? 465 : 587) : Number(port),
    isTls,
    credentials:
      username === '' ? null : { user: decodeURIComponent(username), pass: decodeURIComponent(password) },
  };
}

const smtpUrl = z.string().transform((text, context): SmtpServer => {
  let server: SmtpServer | null = null;
  try {
    server = smtpServerOf(text);
  } catch {
    // Refused below.
  }
  if (server) return server;
  context.addIssue(smtpRule);
  return z.NEVER;
});

/** Settings of e-mail alerts. */
export const emailSettings = {
  FLTR_SMTP_URL: {
    schema: smtpUrl,
    meaning:
      'mail server for e-mail alerts: `smtps://user:password@host:465`, or `smtp://…`, which uses STARTTLS where the server offers it and needs it where there is a password; unset: no e-mail alerts',
    isSecret: true,
  },
  FLTR_SMTP_FROM: {
    schema: z.string().refine(isEmailAddress, 'must be an e-mail address such as alerts@example.com'),
    meaning: 'sender address of e-mail alerts; needed with `FLTR_SMTP_URL`',
  },
} as const;
