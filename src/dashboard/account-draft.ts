import type { Account, AccountChange } from '../contracts/account.ts';

/** An account as a form has it: numbers as text, where an empty one means the default. */
export type AccountDraft = {
  id: string;
  name: string;
  /** One `name=value` per line. */
  metadata: string;
  maxWebhooks: string;
  deliveriesPerHour: string;
};

export const emptyAccountDraft: AccountDraft = {
  id: '',
  name: '',
  metadata: '',
  maxWebhooks: '',
  deliveriesPerHour: '',
};

export const accountDraftOf = ({ id, name, metadata, limits }: Account): AccountDraft => ({
  id,
  name,
  metadata: Object.entries(metadata)
    .map(([key, value]) => `${key}=${value}`)
    .join('\n'),
  maxWebhooks: limits.max_webhooks === null ? '' : String(limits.max_webhooks),
  deliveriesPerHour: limits.deliveries_per_hour === null ? '' : String(limits.deliveries_per_hour),
});

export type AccountFaults = Partial<Record<keyof AccountDraft, string>>;

/**
 * What the form changes, or what is wrong in it.
 *
 * @example readAccountDraft({ ...emptyAccountDraft, id: 'acme', maxWebhooks: '5' }) // { change: { limits: { max_webhooks: 5, … }, … } }
 */
export function readAccountDraft(
  draft: AccountDraft,
): { change: AccountChange; faults?: never } | { change?: never; faults: AccountFaults } {
  const faults: AccountFaults = {};
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(draft.id)) faults.id = 'Use 1 to 64 letters, digits, _ or -.';
  const limit = (field: 'maxWebhooks' | 'deliveriesPerHour'): number | null => {
    const text = draft[field].trim();
    if (text === '') return null;
    if (!/^\d{1,9}$/.test(text)) faults[field] = 'Enter a whole number, or leave it empty.';
    return Number(text);
  };
  const limits = { max_webhooks: limit('maxWebhooks'), deliveries_per_hour: limit('deliveriesPerHour') };
  const metadata = readMetadata(draft.metadata);
  if (metadata === null) faults.metadata = 'Write one name=value per line, each name once.';
  if (metadata === null || Object.keys(faults).length > 0) return { faults };
  const name = draft.name.trim();
  return { change: { ...(name === '' ? {} : { name }), metadata, limits } };
}

/** Null where a line is not `name=value`, or a name comes twice. */
function readMetadata(text: string): Record<string, string> | null {
  const entries: [string, string][] = [];
  for (const line of text.split('\n').filter((each) => each.trim() !== '')) {
    const end = line.indexOf('=');
    const name = line.slice(0, Math.max(0, end)).trim();
    if (name === '' || entries.some(([taken]) => taken === name)) return null;
    entries.push([name, line.slice(end + 1).trim()]);
  }
  return Object.fromEntries(entries);
}
