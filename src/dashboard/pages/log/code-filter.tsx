import { useState } from 'react';
import { Field } from '../../components/field.tsx';
import { codePattern } from '../../log-search.ts';

type Props = { code: string | undefined; onChange: (code: string | undefined) => void };

/** Null if the text is not a complete code. */
function readCode(text: string): string | undefined | null {
  const code = text.trim().toLowerCase();
  if (code === '') return undefined;
  return codePattern.test(code) ? code : null;
}

/** Filters by the status code of the last response; applied as soon as the code is complete. */
export function CodeFilter({ code, onChange }: Props) {
  const [text, setText] = useState(code ?? '');
  const [applied, setApplied] = useState(code);
  // Changed from outside, for example by clearing the filters.
  if (applied !== code) {
    setApplied(code);
    if (readCode(text) !== code) setText(code ?? '');
  }
  const error = readCode(text) === null ? 'Enter a code such as 404 or a class such as 5xx.' : undefined;
  return (
    <Field label="Code" error={error}>
      {(control) => (
        <>
          <input
            {...control}
            list="codes"
            inputMode="text"
            autoComplete="off"
            placeholder="404 or 5xx"
            maxLength={3}
            value={text}
            onChange={({ target }) => {
              setText(target.value);
              const next = readCode(target.value);
              if (next !== null) onChange(next);
            }}
          />
          <datalist id="codes">
            {['2xx', '4xx', '5xx', '400', '401', '404', '410', '500', '503'].map((each) => (
              <option key={each}>{each}</option>
            ))}
          </datalist>
        </>
      )}
    </Field>
  );
}
