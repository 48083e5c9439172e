import { toJson } from '../client/raw-json.ts';
import { hiddenCharacters } from '../contracts/visible-text.ts';

// A color, as `styleText` writes it.
const colorOrHidden = new RegExp(`\\u001b\\[[\\d;]*m|${hiddenCharacters.source}`, 'g');

/**
 * Makes untrusted text safe to print on one line of a terminal: control and direction characters become `?`.
 *
 * @example printable('a\u001b[2Jb\n') // 'a?[2Jb?'
 */
export const printable = (text: string): string => text.replaceAll(hiddenCharacters, '?');

/** The same for complete lines: line breaks and colors stay. */
export const printableLines = (text: string): string =>
  text.replaceAll(colorOrHidden, (found) => (found === '\n' || found.length > 1 ? found : '?'));

/** JSON with escapes for the characters that `JSON.stringify` leaves and a terminal would interpret. */
export const printableJson = (value: unknown): string => printableJsonText(toJson(value));

/** The same for JSON text. */
export const printableJsonText = (text: string): string =>
  text.replaceAll(hiddenCharacters, (found) =>
    found === '\n' ? found : `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
