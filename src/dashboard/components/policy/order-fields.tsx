import { Check } from '../choices.tsx';
import { SelectField } from '../field.tsx';
import { fieldError } from '../problem-notice.tsx';
import { orderTexts } from '../../policy/policy-text.ts';
import type { PolicyProps } from './policy-section.tsx';

const choices = [
  ['none', 'As they come'],
  ['by_key', orderTexts.by_key],
  ['all', orderTexts.all],
] as const;

/** Whether deliveries wait for each other. */
export function OrderFields({ draft, onChange, error }: PolicyProps) {
  return (
    <fieldset>
      <legend>Order</legend>
      <SelectField
        label="Deliveries are sent"
        hint="In order: a delivery begins when the one before it has ended, retries included. It counts for new events."
        error={fieldError(error, '/ordering')}
        value={draft.ordering}
        options={choices}
        onChange={(ordering) => onChange({ ordering })}
      />
      {draft.ordering !== 'none' && (
        <Check
          label="A failed delivery blocks those behind it"
          hint="They wait until it is retried with success or canceled."
          isChecked={draft.blocksOnFailure}
          onChange={(blocksOnFailure) => onChange({ blocksOnFailure })}
        />
      )}
    </fieldset>
  );
}
