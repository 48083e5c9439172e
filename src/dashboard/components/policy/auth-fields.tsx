import type { Webhook } from '../../../contracts/webhook.ts';
import { authTypes, shownAuthText } from '../../policy/policy-text.ts';
import {
  authFields,
  type AuthDraft,
  type AuthField,
  type AuthFieldInfo,
  type AuthType,
} from '../../policy/policy-draft.ts';
import { Button } from '../button.tsx';
import { Field, InputField, SelectField } from '../field.tsx';
import { fieldError } from '../problem-notice.tsx';
import type { PolicyProps } from './policy-section.tsx';

type Props = PolicyProps & { webhook: Webhook | undefined };

/** How requests are authenticated. Secret values are write-only: they are kept, replaced together, or removed. */
export function AuthFields({ draft: { auth }, onChange, error, webhook }: Props) {
  const change = (part: Partial<AuthDraft>) => onChange({ auth: { ...auth, ...part } });
  const choose = (type: AuthType | 'none') => {
    const kept = webhook?.auth?.type === type;
    change({ type, isKept: kept });
  };
  const options = Object.entries(authTypes) as [AuthType | 'none', string][];
  const fields: readonly AuthFieldInfo[] = auth.type === 'none' || auth.isKept ? [] : authFields[auth.type];
  const isShownAtField = fields.some(({ name }) => fieldError(error, `/auth/${name}`) !== undefined);
  return (
    <fieldset>
      <legend>Authentication</legend>
      <SelectField
        label="Requests are authenticated with"
        error={isShownAtField ? undefined : fieldError(error, '/auth')}
        value={auth.type}
        options={options}
        onChange={choose}
      />
      {auth.isKept && webhook?.auth && (
        <p className="row">
          <span>
            Is set. <span className="muted">{shownAuthText(webhook.auth)}</span>
          </span>
          <Button look="small" onClick={() => change({ isKept: false })}>
            Replace
          </Button>
        </p>
      )}
      {!auth.isKept && webhook?.auth?.type === auth.type && (
        <div>
          <Button look="small" onClick={() => change({ isKept: true })}>
            Keep what is set
          </Button>
        </div>
      )}
      {fields.map((field) => (
        <AuthInput
          key={field.name}
          field={field}
          error={fieldError(error, `/auth/${field.name}`)}
          value={auth.fields[field.name as AuthField] ?? ''}
          onChange={(value) => change({ fields: { ...auth.fields, [field.name]: value } })}
        />
      ))}
      {fields.length > 0 && <p className="hint">Stored encrypted. Secret values are never shown again.</p>}
    </fieldset>
  );
}

type InputProps = {
  field: AuthFieldInfo;
  error: string | undefined;
  value: string;
  onChange: (value: string) => void;
};

function AuthInput({ field, error, value, onChange }: InputProps) {
  const label = field.isOptional ? `${field.label} (optional)` : field.label;
  if (field.isLong)
    return (
      <Field label={label} hint={field.hint} error={error}>
        {(control) => (
          <textarea
            {...control}
            rows={4}
            spellCheck={false}
            autoComplete="off"
            placeholder="-----BEGIN …"
            value={value}
            onChange={({ target }) => onChange(target.value)}
          />
        )}
      </Field>
    );
  return (
    <InputField
      label={label}
      hint={field.hint}
      error={error}
      spellCheck={false}
      {...(field.isSecret ? { type: 'password', autoComplete: 'new-password' } : {})}
      value={value}
      onChange={onChange}
    />
  );
}
