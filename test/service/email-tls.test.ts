import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import type { SMTPServerOptions } from 'smtp-server';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Delivery } from '../../src/contracts/delivery.ts';
import { createMailer } from '../../src/outbound/mailer.ts';
import { issueAuthority, issueCertificate } from '../kit/certificates.ts';
import { startMailServer } from '../kit/mail-server.ts';
import { startProcess } from '../kit/process.ts';
import { makeCertificate, type Certificate } from '../kit/raw-receiver.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { startService, stopAll, until } from '../kit/service.ts';

/** E-mails over TLS: from the start, and by STARTTLS. The authority of these tests is one that the machine trusts. */
const password = 'secret-password';
const hour = 3_600_000;
const forServers = ['extendedKeyUsage=serverAuth', 'subjectAltName=DNS:localhost'];
let receiver: Receiver;
beforeAll(async () => {
  receiver = await startReceiver((_request, response) => void response.writeHead(404).end());
});
afterAll(() => stopAll(receiver));

/** Node's own authorities and this one, until the test ends. */
function trust({ cert }: Certificate): void {
  const before = getCACertificates('default');
  setDefaultCACertificates([...before, cert]);
  onTestFinished(() => setDefaultCACertificates(before));
}

type Kind = 'smtps' | 'starttls';

/** A mail server that needs a password; `logins` says whether each came over TLS. */
async function startSecured(
  kind: Kind,
  certificate: Pick<SMTPServerOptions, 'key' | 'cert'>,
  more: Parameters<typeof startMailServer>[1] = {},
) {
  const logins: { isSecure: boolean; isRight: boolean }[] = [];
  const server = await startMailServer(undefined, {
    secure: kind === 'smtps',
    disabledCommands: [],
    allowInsecureAuth: true,
    ...certificate,
    onAuth({ username, password: given }, { secure }, done) {
      logins.push({ isSecure: secure, isRight: username === 'alerts' && given === password });
      done(null, { user: username });
    },
    ...more,
  });
  onTestFinished(() => server.stop());
  return { ...server, logins };
}

/** Sends one e-mail to a server; `faults`: the lines for its operator. */
async function send(kind: Kind, port: number, { host = 'localhost', hasPassword = true } = {}) {
  const faults: string[] = [];
  const mailer = createMailer({
    server: {
      host,
      port,
      isTls: kind === 'smtps',
      credentials: hasPassword ? { user: 'alerts', pass: password } : null,
    },
    name: 'FLTR',
    address: 'alerts@fltr.example',
    publicUrl: null,
    onFault: (fault) => void faults.push(fault),
  });
  const mail = { to: ['ops@ok.example'], subject: 's', text: 't', html: 'h', id: 'evt_1' };
  const result = await mailer.send({ mail, accountId: 'acc_1', timeoutMs: 5000 });
  await mailer.close();
  return { result, faults };
}

test.each(['smtps', 'starttls'] as const)('%s: password and message go over TLS', async (kind) => {
  const authority = issueAuthority('authority of the mail server');
  trust(authority);
  const certificate = issueCertificate({
    commonName: 'localhost',
    extensions: forServers,
    issuer: authority,
  });
  const server = await startSecured(kind, certificate);
  const { result, faults } = await send(kind, server.port);
  expect(result).toMatchObject({ kind: 'responded', statusCode: 250 });
  expect([server.mails.length, server.logins, faults]).toEqual([1, [{ isSecure: true, isRight: true }], []]);
});

test.each(['smtps', 'starttls'] as const)(
  '%s: a certificate that is not valid ends the attempt before any password is sent, and its error names the fault',
  async (kind) => {
    const [trusted, other] = [issueAuthority('trusted'), issueAuthority('another authority')];
    trust(trusted);
    const wrong = {
      'another authority': issueCertificate({
        commonName: 'localhost',
        extensions: forServers,
        issuer: other,
      }),
      'another name': issueCertificate({
        commonName: 'mail.example',
        extensions: ['extendedKeyUsage=serverAuth', 'subjectAltName=DNS:mail.example'],
        issuer: trusted,
      }),
      'self-signed and expired': makeCertificate(['localhost'], new Date(Date.now() - hour)),
    };
    for (const [name, certificate] of Object.entries(wrong)) {
      const server = await startSecured(kind, certificate);
      for (const hasPassword of [true, false]) {
        const { result, faults } = await send(kind, server.port, { hasPassword });
        expect([name, result]).toEqual([
          name,
          expect.objectContaining({
            kind: 'failed',
            code: 'email_failed',
            detail: expect.stringContaining('its certificate is not valid') as string,
          }),
        ]);
        expect(faults).toEqual([expect.stringMatching(/^its certificate is not valid: \w/)]);
      }
      expect([server.mails, server.logins]).toEqual([[], []]);
    }
  },
);

test('a password is not sent where STARTTLS is not offered, but on this machine', async () => {
  const server = await startSecured('starttls', {}, { host: '127.0.0.2', disabledCommands: ['STARTTLS'] });
  const { result, faults } = await send('starttls', server.port, { host: '127.0.0.2' });
  expect(result).toMatchObject({ kind: 'failed', code: 'email_failed' });
  expect(faults).toEqual([expect.stringContaining('does not offer STARTTLS')]);
  expect([server.mails, server.logins]).toEqual([[], []]);

  const here = await startSecured('starttls', {}, { disabledCommands: ['STARTTLS'] });
  expect((await send('starttls', here.port, { host: '127.0.0.1' })).result.kind).toBe('responded');
  expect(here.logins).toEqual([{ isSecure: false, isRight: true }]);
});

test('the service trusts the authority in NODE_EXTRA_CA_CERTS; without it the log names the fault, and the e-mail is retried', async () => {
  const authority = issueAuthority('authority of the operator');
  const folder = mkdtempSync(join(tmpdir(), 'fltr-email-tls-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'authority.pem');
  writeFileSync(file, authority.cert);
  const server = await startSecured(
    'smtps',
    issueCertificate({ commonName: 'localhost', extensions: forServers, issuer: authority }),
  );
  const service = await startService(
    {
      FLTR_SMTP_URL: `smtps://alerts:${password}@localhost:${server.port}`,
      FLTR_SMTP_FROM: 'alerts@fltr.example',
      FLTR_RETRY_SCHEDULE_SECONDS: '1,1,1',
    },
    'api',
  );
  onTestFinished(() => service.stop());
  const start = (env: Record<string, string>) =>
    startProcess(['worker'], { ...service.env, LOG_LEVEL: 'warn', ...env });
  await service.newWebhook('mailto:ops@ok.example', { events: ['delivery.failed'] });
  await service.newWebhook(receiver.url);
  await service.publish();

  const distrustful = start({});
  onTestFinished(() => void distrustful.exited(0));
  const alert = await until(
    async () => {
      const { body } = await service.call<{ data: Delivery[] }>(
        'GET',
        '/v1/deliveries?event=delivery.failed',
      );
      return body.data[0];
    },
    (delivery) => delivery?.status === 'retrying',
  );
  const read = async () => (await service.call<Delivery>('GET', `/v1/deliveries/${alert?.id}`)).body;
  expect((await read()).attempts[0]).toMatchObject({
    outcome: 'retry',
    error: {
      code: 'email_failed',
      message: expect.stringContaining('its certificate is not valid') as string,
    },
  });
  await until(
    () => distrustful.output(),
    (output) => output.includes('the mail server cannot be used'),
  );
  expect(distrustful.output()).toContain('its certificate is not valid');
  expect(distrustful.output()).not.toContain(password);
  distrustful.kill('SIGTERM');
  await distrustful.exited();

  const trusting = start({ NODE_EXTRA_CA_CERTS: file });
  onTestFinished(async () => {
    trusting.kill('SIGTERM');
    await trusting.exited();
  });
  await service.call('POST', `/v1/deliveries/${alert?.id}/retry`);
  await until(read, ({ status }) => status === 'delivered');
  expect([server.mails.length, server.logins]).toEqual([1, [{ isSecure: true, isRight: true }]]);
}, 120_000);
