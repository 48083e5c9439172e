import { useId, type ReactNode } from 'react';

type Control = { id: string; 'aria-describedby': string | undefined; 'aria-invalid': boolean | undefined };
type Props = {
  label: string;
  hint?: ReactNode;
  error?: ReactNode;
  /** Renders the input with the attributes that connect it to its label, hint and error. */
  children: (control: Control) => ReactNode;
};

/** A form field with an accessible label, hint and error. */
export function Field({ label, hint, error, children }: Props) {
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
