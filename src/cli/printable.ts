import { hiddenCharacters } from '../contracts/visible-text.ts';

// A color, as `styleText` writes it.
const colorOrHidden = new RegExp(`\\u001b\\[[\\d;]*m|${hiddenCharacters.source}`, 'g');

/**
 * Text from elsewhere as one line of a terminal: what would move the cursor, begin a sequence or turn the text is shown
 * as `?`.
 *
 * @example printable('a\u001b[2Jb\n') // 'a?[2Jb?'
 */
export const printable = (text: string): string => text.replaceAll(hiddenCharacters, '?');

/** The same for lines that are put together already: their line breaks and colors stay. */
export const printableLines = (text: string): string =>
  text.replaceAll(colorOrHidden, (found) => (found === '\n' || found.length > 1 ? found : '?'));

/** JSON as `JSON.stringify` writes it, with escapes for what it leaves as it is and a terminal would obey. */
export const printableJson = (value: unknown, indent?: number): string =>
  printableJsonText(JSON.stringify(value, null, indent));

/** The same for a text that is JSON already. */
export const printableJsonText = (text: string): string =>
  text.replaceAll(hiddenCharacters, (found) =>
    found === '\n' ? found : `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
