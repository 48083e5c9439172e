const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * A header's value as its sender meant it. Node reads each byte as a character; most who send other than ASCII mean UTF-8.
 *
 * @example headerText('cafÃ©') // 'café'
 */
export function headerText(value: string): string {
  // oxlint-disable-next-line no-control-regex -- of ASCII, both readings are the same
  if (/^[\u0000-\u007f]*$/.test(value)) return value;
  try {
    return utf8.decode(Buffer.from(value, 'latin1'));
  } catch {
    return value;
  }
}
