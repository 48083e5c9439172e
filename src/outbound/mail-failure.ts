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
 * What came of an e-mail that was not accepted. `detail` is for the webhook's owner, `fault` for the operator of the service:
 * what is wrong with the mail server or its settings; null: nothing is, the message was refused. Neither repeats what the
 * server replied to a password.
 *
 * @example describeMailFailure({ code: 'ESOCKET', originalCode: 'CERT_HAS_EXPIRED', message: 'certificate has expired', … }).fault
 *   // 'its certificate is not valid: certificate has expired'
 */
export function describeMailFailure(error: SmtpError): Failed & { fault: string | null } {
  const { command = '', response, responseCode = 0 } = error;
  if (!ofMessage.test(command) || response === undefined) {
    const { what, why } = faultOf(error);
    const detail = `The mail server of this service cannot be used at the moment: ${what}. Its operator finds the reason in the log.`;
    return { ...failed('email_failed', detail), fault: why === null ? what : `${what}: ${printable(why)}` };
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
  what: string;
  why: string | null;
} {
  if (code === 'EAUTH' || command.startsWith('AUTH'))
    return { what: 'it refuses the user name or password of this service', why: null };
  if (isCertificateFault(originalCode)) return { what: 'its certificate is not valid', why: message };
  if (command === 'STARTTLS' && response !== undefined)
    return { what: 'it does not offer STARTTLS, without which no password is sent', why: null };
  if (code === 'ETLS' || originalCode.startsWith('ERR_SSL_')) return { what: 'TLS failed', why: message };
  if (code === 'ESOCKET' || code === 'ECONNECTION' || code === 'EDNS')
    return { what: 'there is no connection', why: message };
  return { what: 'it does not respond as expected', why: message };
}

const printable = (text: string): string => text.replace(/[^\x20-\x7e]+/g, ' ').slice(0, 300);
