import { newId } from '../src/domain/ids.ts';
import { attemptHeaders } from '../src/domain/request-headers.ts';
import { signingSecrets } from '../src/domain/signing-secrets.ts';
import type { Sender, SendResult } from '../src/outbound/sender.ts';
import type { SecretBox } from '../src/security/secret-box.ts';

type Attempt = {
  accountId: string;
  webhookId: string;
  url: string;
  sealedSecret: string | null;
  previousSealedSecret: string | null;
  previousSecretUntil: Date | null;
  eventId: string;
  eventType: string;
  traceparent?: string | null;
  body: Buffer;
  isTest?: boolean;
};

/** Signs and sends once. Deliveries and test events go the same way. @throws SenderBusy where nothing was sent */
export async function sendAttempt(
  { sender, secretBox }: { sender: Sender; secretBox: SecretBox },
  {
    accountId,
    webhookId,
    url,
    sealedSecret,
    previousSealedSecret,
    previousSecretUntil,
    eventId,
    eventType,
    traceparent = null,
    body,
    isTest = false,
  }: Attempt,
): Promise<{ attemptId: string; sent: SendResult }> {
  if (sealedSecret === null) throw new Error(`Webhook ${webhookId} has no secret`);
  const attemptId = newId('att');
  // Signed only when the request begins: after a long wait for a place a receiver would take the signature for too old.
  const headers = (at: Date): Record<string, string> => {
    const sealed = signingSecrets({
      current: sealedSecret,
      previous: previousSealedSecret,
      previousUntil: previousSecretUntil,
      now: at,
    });
    const [first, ...others] = sealed.standard;
    const open = (secret: string) => secretBox.openToSign(secret, webhookId);
    return attemptHeaders({
      eventId,
      eventType,
      attemptId,
      traceparent,
      body,
      at,
      secrets: { body: open(sealed.body), standard: [open(first), ...others.map(open)] },
      isTest,
    });
  };
  return { attemptId, sent: await sender.send({ url, accountId, isTest, headers, body }) };
}
