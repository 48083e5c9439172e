import { hash } from 'node:crypto';

const maxIds = 8;
const maxLength = 200;

/**
 * The ids in an event's data: the texts of its members named `id`, or with a name that ends in `_id`; the first 8, of at most
 * 200 characters.
 *
 * @example dataIdsOf({ document_id: 'doc_1', name: 'One', owner: { id: 'u_1' } }) // ['doc_1']
 */
export function dataIdsOf(data: Readonly<Record<string, unknown>>): string[] {
  const ids: string[] = [];
  for (const [name, value] of Object.entries(data)) {
    if (name !== 'id' && !name.endsWith('_id')) continue;
    if (typeof value !== 'string' || value === '' || value.length > maxLength || ids.includes(value))
      continue;
    ids.push(value);
    if (ids.length === maxIds) break;
  }
  return ids;
}

/**
 * A key by which the search finds an account's events: 64 bits of a hash of the account and of an id in the data, or of the id
 * of the request that published them, as text. Two that are equal by chance are not to be expected in any log.
 *
 * @example searchKey('acc_1', 'doc_1') // '-3120338410285163027', or any other number of 64 bits
 */
export const searchKey = (accountId: string, id: string): string =>
  hash('sha256', `${accountId} ${id}`, 'buffer').readBigInt64BE().toString();
