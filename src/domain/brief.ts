const maxLength = 300;

/** Characters that end a line in mail, in Slack or in programs that show their messages, and other control characters. */
const lineBreaks = /[\p{Cc}\u2028\u2029]+/gu;

/** JSON text as people read it: a string as its text, any other value as its producer wrote it, with all digits. */
export const textOfValue = (value: string): string =>
  value.startsWith('"') ? (JSON.parse(value) as string) : value;

/**
 * Short, and in one line, so that no value looks like another field. Half a surrogate pair, which some parsers refuse, is
 * replaced.
 *
 * @example brief('a\r\nb') // 'a b'
 */
export function brief(text: string): string {
  // A pair across the end is left out.
  const cut = text.length > maxLength ? `${text.slice(0, maxLength).replace(/[\ud800-\udbff]$/, '')}…` : text;
  return cut.replace(/\p{Surrogate}/gu, '\ufffd').replace(lineBreaks, ' ');
}
