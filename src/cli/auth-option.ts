import type { z } from 'zod';
import type { updateWebhookSchema } from '../contracts/webhook.ts';
import { readValue } from './api-command.ts';
import { wrongUse } from './exit-codes.ts';

export type Auth = NonNullable<z.input<typeof updateWebhookSchema>['auth']>;

/** The fields of each type, as the API names them. */
const fieldsOf: Record<Auth['type'], readonly string[]> = {
  basic: ['username', 'password'],
  bearer: ['token'],
  oauth2: ['token_url', 'client_id', 'client_secret', 'scope', 'audience'],
  mtls: ['certificate', 'key', 'ca'],
};
const isType = (word: string): word is Auth['type'] => Object.hasOwn(fieldsOf, word);

/** @example fieldsHelp // 'basic: username, password; bearer: token; …' */
export const authFieldsHelp = Object.entries(fieldsOf)
  .map(([type, names]) => `  ${type.padEnd(7)} ${names.join(', ')}`)
  .join('\n');

/**
 * The authentication that the words of `--auth` mean: a type, and its fields. The API checks the values.
 *
 * @param words null where it is removed
 * @throws Error where a word is neither, or a file cannot be read
 *
 * @example await authOf(['bearer', 'token=@file']) // { type: 'bearer', token: 'the contents of the file' }
 */
export async function authOf(words: readonly string[]): Promise<Auth | null> {
  const [type, ...rest] = words;
  if (type === 'none' && rest.length === 0) return null;
  if (type === undefined || !isType(type))
    throw wrongUse(`--auth begins with ${Object.keys(fieldsOf).join(', ')} or none, not with ${type ?? ''}.`);
  const values: Record<string, string> = {};
  for (const word of rest) {
    const at = word.indexOf('=');
    const name = word.slice(0, at);
    if (at < 1 || !fieldsOf[type].includes(name))
      throw wrongUse(
        `--auth ${type} has ${fieldsOf[type].join(', ')}, each as --auth name=value. Wrong: ${at < 1 ? 'a word without a name' : name}.`,
      );
    values[name] = await readValue(word.slice(at + 1));
  }
  return { type, ...values } as Auth;
}
