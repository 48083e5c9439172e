import { useId, type ComponentProps, type ReactNode } from 'react';

type FormProps = Omit<ComponentProps<'form'>, 'onSubmit'> & { onSubmit?: () => void };

/** A form that the page handles itself. */
export function Form({ onSubmit, ...form }: FormProps) {
  return (
    <form
      className="form"
      {...form}
      onSubmit={(event) => {
        event.preventDefault();
        onSubmit?.();
      }}
    />
  );
}

type Labelled = { label: string; hint?: ReactNode; error?: ReactNode };
type Control = { id: string; 'aria-describedby': string | undefined; 'aria-invalid': boolean | undefined };
type FieldProps = Labelled & {
  /** Renders the input with the attributes that connect it to its label, hint and error. */
  children: (control: Control) => ReactNode;
};

/** A form field with an accessible label, hint and error. */
export function Field({ label, hint, error, children }: FieldProps) {
  const id = useId();
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(' ');
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children({ id, 'aria-describedby': described || undefined, 'aria-invalid': error ? true : undefined })}
      {hint && (
        <div id={`${id}-hint`} className="hint">
          {hint}
        </div>
      )}
      {error && (
        <div id={`${id}-error`} className="field-error">
          {error}
        </div>
      )}
    </div>
  );
}

type InputProps = Labelled &
  Omit<ComponentProps<'input'>, 'value' | 'onChange'> & {
    value: string;
    onChange: (text: string) => void;
    /** Beside the input. */
    children?: ReactNode;
  };

export function InputField({ label, hint, error, onChange, children, ...input }: InputProps) {
  return (
    <Field label={label} hint={hint} error={error}>
      {(control) => (
        <>
          <input
            autoComplete="off"
            {...input}
            {...control}
            onChange={({ target }) => onChange(target.value)}
          />
          {children}
        </>
      )}
    </Field>
  );
}

type SelectProps<Value> = Labelled & {
  value: Value;
  /** The values, with a label where it is another text. */
  options: readonly (Value | readonly [value: Value, label: string])[];
  onChange: (value: Value) => void;
};

export function SelectField<Value extends string>({
  value,
  options,
  onChange,
  ...field
}: SelectProps<Value>) {
  return (
    <Field {...field}>
      {(control) => (
        <select {...control} value={value} onChange={({ target }) => onChange(target.value as Value)}>
          {options.map((option) => {
            const [each, label] = typeof option === 'string' ? [option, option] : option;
            return (
              <option key={each} value={each}>
                {label}
              </option>
            );
          })}
        </select>
      )}
    </Field>
  );
}

type SwitchProps = { label: string; isOn: boolean; onChange: (isOn: boolean) => void };

export function Switch({ label, isOn, onChange }: SwitchProps) {
  return (
    <label className="switch">
      <input
        type="checkbox"
        role="switch"
        checked={isOn}
        aria-checked={isOn}
        onChange={({ target }) => onChange(target.checked)}
      />
      {label}
    </label>
  );
}
