import type { HeaderDraft } from '../../policy/policy-draft.ts';
import { Button } from '../button.tsx';
import { InputField } from '../field.tsx';
import { fieldError } from '../problem-notice.tsx';
import type { PolicyProps } from './policy-section.tsx';

/** The webhook's own headers. The values of those it has are not known here: each is kept, replaced or removed. */
export function HeaderFields({ draft: { headers }, onChange, error }: PolicyProps) {
  const change = (index: number, part: Partial<HeaderDraft>) =>
    onChange({ headers: headers.map((each, at) => (at === index ? { ...each, ...part } : each)) });
  return (
    <fieldset>
      <legend>Headers</legend>
      <p className="hint">
        Sent with each request. Values are stored encrypted and never shown again, here or in the log.
      </p>
      {headers.map((header, index) => (
        // A header is only added at the end, and a removed one has no state of its own.
        <div key={index} className="policy-row">
          <InputField
            label={`Name of header ${index + 1}`}
            error={errorOf(error, header, index === headers.length - 1)}
            spellCheck={false}
            placeholder="X-Api-Key"
            readOnly={header.isSet}
            value={header.name}
            onChange={(name) => change(index, { name })}
          />
          <InputField
            label={header.isSet ? `New value of ${header.name}` : `Value of header ${index + 1}`}
            type="password"
            autoComplete="new-password"
            spellCheck={false}
            placeholder={header.isSet ? 'unchanged' : ''}
            value={header.value}
            onChange={(value) => change(index, { value })}
          />
          <Button
            look="small"
            aria-label={`Remove header ${header.name || index + 1}`}
            onClick={() => onChange({ headers: headers.filter((_each, at) => at !== index) })}
          >
            Remove
          </Button>
        </div>
      ))}
      <div>
        <Button
          look="small"
          onClick={() => onChange({ headers: [...headers, { name: '', value: '', isSet: false }] })}
        >
          Add a header
        </Button>
      </div>
    </fieldset>
  );
}

/** At the header that it names; without a name, at the last one. */
function errorOf(error: unknown, { name }: HeaderDraft, isLast: boolean): string | undefined {
  const escaped = name.trim().replaceAll('~', '~0').replaceAll('/', '~1');
  const own = escaped === '' ? undefined : fieldError(error, `/headers/${escaped}`);
  return own ?? (isLast ? fieldError(error, '/headers') : undefined);
}
