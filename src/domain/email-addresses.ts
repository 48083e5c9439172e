export const maxEmailAddresses = 5;

/** The scheme of the URL of an e-mail webhook. */
const scheme = 'mailto:';
const label = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?';
const addressPattern = new RegExp(
  `^(?=.{3,254}$)(?=[^@]{1,64}@)[A-Za-z0-9_+'-]+(?:\\.[A-Za-z0-9_+'-]+)*@${label}(?:\\.${label})*$`,
);

/** Whether it is a plain e-mail address. It holds no character with a meaning in a header, a URL or a command of SMTP. */
export const isEmailAddress = (text: string): boolean => addressPattern.test(text);

export const isMailto = (url: string): boolean => url.toLowerCase().startsWith(scheme);

/**
 * The addresses of an e-mail webhook, from its URL; null: it is no such URL. Only plain ASCII addresses, so that nothing in it
 * can be read as a header or as another address.
 *
 * @example emailAddressesOf('mailto:ops@example.com,dev@example.com') // ['ops@example.com', 'dev@example.com']
 */
export function emailAddressesOf(url: string): string[] | null {
  if (!url.startsWith(scheme)) return null;
  const addresses = url.slice(scheme.length).split(',');
  const isValid =
    addresses.length <= maxEmailAddresses &&
    addresses.every(isEmailAddress) &&
    new Set(addresses.map((address) => address.toLowerCase())).size === addresses.length;
  return isValid ? addresses : null;
}
