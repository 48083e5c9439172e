import type { SendResult } from './sender.ts';
import { isCertificateFault } from './tls-failure.ts';

/** An error of nodemailer. `originalCode`: Node's, where nodemailer has replaced it by its own. */
export type SmtpError = Error & {
  code?: string;
  originalCode?: string;
  command?: string;
  response?: string;
  responseCode?: number;
};

type Failed = Pick<Extract<SendResult, { kind: 'failed' }>, 'kind' | 'code' | 'detail'>;

/**
 * The result of an e-mail that was not accepted. `detail` is for the webhook's owner. `fault` is for the operator of the
 * service: the fault of the mail server or its settings; null: none, the message was refused. Neither repeats the server's
 * reply to a password.
 *
 * @example describeMailFailure({ code: 'ESOCKET', originalCode: 'CERT_HAS_EXPIRED', message: 'certificate has expired', … }).fault
 *   // 'its certificate is not valid: certificate has expired'
 */
export function describeMailFailure(error: SmtpError): Failed & { fault: string | null } {
  const { command = '', response, responseCode = 0 } = error;
  if (!ofMessage.test(command) || response === undefined) {
    const { fault, why } = faultOf(error);
    const detail = `The mail server of this service cannot be used at the moment: ${fault}. Its operator finds the reason in the log.`;
    return { ...failed('email_failed', detail), fault: why === null ? fault : `${fault}: ${printable(why)}` };
  }
  const reply = printable(response);
  const isFinal = responseCode >= 500 && command !== 'MAIL FROM';
  return {
    ...(isFinal
      ? failed('email_rejected', `The mail server rejects the message: ${reply}`)
      : failed('email_failed', `The mail server did not accept the message: ${reply}`)),
    fault: null,
  };
}

export const failed = (code: 'email_failed' | 'email_rejected', detail: string): Failed => ({
  kind: 'failed',
  code,
  detail,
});

/** Replies to these commands are about the message; replies to others are about the operator's server or password. */
const ofMessage = /^(RCPT TO|DATA|MAIL FROM)/;

/** `why` null: it may repeat a password, or adds nothing. */
function faultOf({ code = '', originalCode = '', command = '', response, message }: SmtpError): {
  fault: string;
  why: string | null;
} {
  if (code === 'EAUTH' || command.startsWith('AUTH'))
    return { fault: 'it refuses the user name or password of this service', why: null };
  if (isCertificateFault(originalCode)) return { fault: 'its certificate is not valid', why: message };
  if (command === 'STARTTLS' && response !== undefined)
    return { fault: 'it does not offer STARTTLS, without which no password is sent', why: null };
  if (code === 'ETLS' || originalCode.startsWith('ERR_SSL_')) return { fault: 'TLS failed', why: message };
  if (code === 'ESOCKET' || code === 'ECONNECTION' || code === 'EDNS')
    return { fault: 'there is no connection', why: message };
  return { fault: 'it does not respond as expected', why: message };
}

const printable = (text: string): string => text.replace(/[^\x20-\x7e]+/g, ' ').slice(0, 300);
