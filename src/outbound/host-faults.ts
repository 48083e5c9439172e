import { isIP } from 'node:net';
import { withoutBrackets } from './judge-ip.ts';

const maxName = 253;
const maxLabel = 63;

/**
 * Why a URL's host can never be found, as a sentence; null where it can be. An address is always one that can be found.
 * Source: RFC 1035, 2.3.4 (lengths); an underscore is in no host name by RFC 952, but is in use.
 *
 * @param hostname a `URL`'s, so in lower case and in ASCII
 * @example findHostFault('*.example.com') // 'The host name may not contain "*". …'
 */
export function findHostFault(hostname: string): string | null {
  if (isIP(withoutBrackets(hostname)) !== 0) return null;
  const name = hostname.replace(/\.$/, '');
  const odd = /[^a-z0-9._-]/.exec(name)?.[0];
  if (odd !== undefined)
    return `The host name may not contain "${odd}". Write the whole name of one host: neither a placeholder nor a wildcard.`;
  if (name.length > maxName)
    return `The host name is ${name.length} characters long. A host name has at most ${maxName}.`;
  const labels = name.split('.');
  if (labels.includes('')) return 'The host name has nothing before, after or between its dots. Correct it.';
  const long = labels.find((label) => label.length > maxLabel);
  if (long !== undefined)
    return `A part of the host name is ${long.length} characters long. Between two dots there are at most ${maxLabel}.`;
  return null;
}
