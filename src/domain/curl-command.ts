type CurlRequest = {
  /** As `URL` writes it. */
  url: string;
  headers: Readonly<Record<string, string>>;
  body: string;
  /** The receiver requires a client certificate. */
  hasClientCertificate: boolean;
};

/** Linux refuses a longer argument than 128 KiB. */
const maxArgumentBytes = 100_000;

/**
 * Characters that a terminal acts on or does not show: a pasted U+007F deletes the text before it, quotes included, and the
 * text after it would be a command. JSON may have these unescaped; it escapes other control characters.
 */
const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

/**
 * A request as a command line for a POSIX shell, to be pasted. Nothing in the request is anything but text to the shell or to
 * curl.
 *
 * @example curlCommand({ url: 'https://example.com/', headers: { 'X-A': '1' }, body: '{}', hasClientCertificate: false })
 */
export function curlCommand({ url, headers, body, hasClientCertificate }: CurlRequest): string {
  // A body on standard input has no limit, and printf, which every shell has built in, none either.
  const isPiped = unprintable.test(body) || Buffer.byteLength(body) > maxArgumentBytes;
  const lines = [
    // Without --globoff, curl would read brackets in the URL as a pattern.
    `curl --include --globoff --request POST ${quote(url)}`,
    ...Object.entries(headers).map(([name, value]) => `--header ${quote(`${name}: ${value}`)}`),
    ...(hasClientCertificate ? [`--cert ${quote('<certificate.pem>')} --key ${quote('<key.pem>')}`] : []),
    // --data-raw does not read a file where the body begins with @.
    isPiped ? '--data-binary @-' : `--data-raw ${quote(body)}`,
  ];
  const command = lines.join(' \\\n  ');
  return isPiped ? `printf %b ${quote(forPrintf(body))} | ${command}` : command;
}

/** One word of a shell, of any characters. */
const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** A text that `printf %b` writes as it was: each byte of an unprintable character as `\0` and its three octal digits. */
function forPrintf(text: string): string {
  const octal = (character: string) =>
    [...Buffer.from(character)].map((byte) => `\\0${byte.toString(8).padStart(3, '0')}`).join('');
  return text.replaceAll('\\', '\\\\').replaceAll(new RegExp(unprintable, 'gu'), octal);
}
