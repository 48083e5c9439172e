import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';

export type ReceivedMail = { to: string[]; from: string; source: string };

/** Replies with that status to an address or a message. */
export type MailReply = {
  to?: (address: string) => number | null;
  message?: (mail: ReceivedMail) => number | null;
};

/** A mail server on this machine, by default at 127.0.0.1; `mails` has the accepted e-mails. */
export async function startMailServer(
  reply: MailReply = {},
  { host = '127.0.0.1', ...options }: SMTPServerOptions & { host?: string } = {},
) {
  const mails: ReceivedMail[] = [];
  const refusal = (responseCode: number) =>
    Object.assign(new Error(`Reply ${responseCode}`), { responseCode });
  const server = new SMTPServer({
    disabledCommands: ['STARTTLS', 'AUTH'],
    onRcptTo({ address }, _session, done) {
      const status = reply.to?.(address) ?? null;
      done(status === null ? null : refusal(status));
    },
    onData(stream, { envelope }, done) {
      const parts: Buffer[] = [];
      stream.on('data', (part: Buffer) => parts.push(part));
      stream.on('end', () => {
        const mail = {
          to: envelope.rcptTo.map(({ address }) => address),
          from: envelope.mailFrom === false ? '' : envelope.mailFrom.address,
          source: Buffer.concat(parts).toString(),
        };
        const status = reply.message?.(mail) ?? null;
        if (status !== null) return done(refusal(status));
        mails.push(mail);
        done(null, 'queued');
      });
    },
    ...options,
  });
  // In some tests, the client leaves early on purpose.
  server.on('error', () => undefined);
  server.listen(0, host);
  await once(server.server, 'listening');
  const { port } = server.server.address() as AddressInfo;
  return {
    port,
    mails,
    stop: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

/** The header's value, unfolded; undefined: it has none. */
export function headerOf({ source }: ReceivedMail, name: string): string | undefined {
  const head = source.slice(0, source.indexOf('\r\n\r\n')).replaceAll(/\r\n[ \t]+/g, ' ');
  const line = head.split('\r\n').find((each) => each.toLowerCase().startsWith(`${name.toLowerCase()}:`));
  return line?.slice(name.length + 1).trim();
}
