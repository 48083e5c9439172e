import MailComposer from 'nodemailer/lib/mail-composer';
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import { createFairLimit } from './fair-limit.ts';
import { describeMailFailure, failed, type SmtpError } from './mail-failure.ts';
import { startProgress, untilEnded, type Progress } from './progress.ts';
import { SenderBusy } from './sender-busy.ts';
import type { SendResult } from './sender.ts';

type Mail = {
  to: readonly string[];
  subject: string;
  text: string;
  html: string;
  /** The same in every attempt, so that mail servers and readers can drop a copy. It becomes a part of the `Message-ID`. */
  id: string;
};
export type MailRequest = {
  mail: Mail;
  /** Whose attempt it is: connections are shared out by it. */
  accountId: string;
  timeoutMs: number;
  /** Called when the connection is about to begin. */
  onStart?: (() => void) | undefined;
};

export type Mailer = {
  /** Origin of the dashboard, for links; null: not known. */
  publicUrl: string | null;
  send(request: MailRequest): Promise<SendResult>;
  /** Waits for the e-mails that are being sent. */
  close(): Promise<void>;
};

export type MailerOptions = {
  server: {
    host: string;
    port: number;
    isTls: boolean;
    credentials: { user: string; pass: string } | null;
  };
  /** The sender's name. */
  name: string;
  address: string;
  publicUrl: string | null;
  /** Called for each e-mail that failed because of the mail server or its settings, with the fault, for the operator. */
  onFault?: (fault: string) => void;
};

/** Mail servers limit the connections of a client. */
const connections = 10;
const connectionsOfAccount = 5;
/** The longest wait for one of them, in milliseconds. */
const maxWaitMs = 3_000;

/**
 * Makes the function that sends one e-mail through the operator's mail server and returns its result. `timeoutMs` is one
 * deadline for everything. A reply of 2xx to the message counts as a response with that status, where at least one address was
 * accepted. A reply of 5xx to an address or the message is `email_rejected`. Any other failure may be temporary: it is
 * `email_failed`, and retried. A fault of the operator's password is not shown to the webhook's owner.
 *
 * `send` throws `SenderBusy` where there was no connection within 3 s (nothing was sent).
 * Source: RFC 5321 4.2 (replies).
 *
 * @example
 * const mailer = createMailer({ server, name: 'FLTR webhooks', address: 'alerts@example.com', publicUrl: null });
 * await mailer.send({ mail, accountId: 'acc_1', timeoutMs: 5_000 });
 */
export function createMailer({ server, name, address, publicUrl, onFault }: MailerOptions): Mailer {
  const limit = createFairLimit(connections);
  const underWay = new Set<Promise<unknown>>();

  async function attempt({ mail, accountId, timeoutMs, onStart }: MailRequest): Promise<SendResult> {
    const { progress, restart, stop } = startProgress(maxWaitMs);
    try {
      await limit.acquire(accountId, connectionsOfAccount, progress);
    } catch {
      stop();
      throw new SenderBusy();
    }
    try {
      onStart?.();
      const startedAt = new Date();
      const start = performance.now();
      restart(timeoutMs);
      const outcome = await deliver(mail, progress);
      return { ...outcome, startedAt, durationMs: Math.round(performance.now() - start) };
    } finally {
      stop();
      limit.release(accountId);
    }
  }

  async function deliver(mail: Mail, progress: Progress) {
    const message = await compose(mail, { name, address });
    const connection = new SMTPConnection({
      host: server.host,
      port: server.port,
      secure: server.isTls,
      // A password is not sent in the clear, but on this machine.
      requireTLS: !server.isTls && server.credentials !== null && !isLoopback(server.host),
      socketCloseTimeout: 0,
      maxResponseSize: 16 * 1024,
    });
    try {
      const info = await untilEnded<{ response: string; rejected: string[] }>(progress, (resolve, reject) => {
        connection.once('error', reject);
        connection.once('end', () => reject(new Error('closed')));
        const send = () =>
          connection.send({ from: address, to: [...mail.to] }, message, (error, sent) =>
            error || !sent ? reject(error) : resolve(sent),
          );
        connection.connect((error) => {
          if (error) return reject(error);
          const { credentials } = server;
          if (credentials === null) return send();
          connection.login({ credentials }, (refusal) => (refusal ? reject(refusal) : send()));
        });
        return () => undefined;
      });
      const refused = info.rejected.length === 0 ? '' : ` Rejected: ${info.rejected.join(', ')}.`;
      const statusCode = Number(/^2\d\d/.exec(info.response)?.[0] ?? 250);
      const body = Buffer.from(`${info.response}${refused}`);
      return { kind: 'responded' as const, statusCode, headers: {}, body, truncated: false };
    } catch (error) {
      if (progress.ended !== undefined) {
        onFault?.('it does not respond within the time limit');
        return failed('email_failed', 'The mail server did not accept the message within the time limit.');
      }
      const { fault, ...failure } = describeMailFailure(error as SmtpError);
      if (fault !== null) onFault?.(fault);
      return failure;
    } finally {
      connection.on('error', () => undefined);
      connection.close();
    }
  }

  return {
    publicUrl,
    send(request) {
      const running = attempt(request);
      underWay.add(running);
      return running.finally(() => underWay.delete(running));
    },
    async close() {
      await Promise.allSettled(underWay);
    },
  };
}

/** The bytes of a message. The library encodes characters that a header may not hold. */
function compose(mail: Mail, from: { name: string; address: string }): Promise<Buffer> {
  return new MailComposer({
    from,
    to: [...mail.to],
    subject: mail.subject,
    text: mail.text,
    html: mail.html,
    messageId: `<${mail.id}@${from.address.slice(from.address.indexOf('@') + 1)}>`,
    headers: { 'Auto-Submitted': 'auto-generated' },
    disableFileAccess: true,
    disableUrlAccess: true,
  })
    .compile()
    .build();
}

const isLoopback = (host: string): boolean => host === 'localhost' || host === '127.0.0.1' || host === '::1';
