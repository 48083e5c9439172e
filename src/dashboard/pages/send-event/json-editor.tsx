import { useRef } from 'react';
import { FltrWebhooksError } from '../../../client/request.ts';
import { Button } from '../../components/button.tsx';
import { Field } from '../../components/field.tsx';
import { lineAt, positionOf } from './json-position.ts';

type Props = {
  text: string;
  onChange: (text: string) => void;
  syntaxError: string | undefined;
  /** The API's error. */
  problem: unknown;
  /** Restores the example; undefined if the text is the example. */
  onReset: (() => void) | undefined;
};

/** Why a text is not JSON; undefined if it is. */
export function findSyntaxError(text: string): string | undefined {
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    return `Not valid JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Edits an event's data; errors link to their line. */
export function JsonEditor({ text, onChange, syntaxError, problem, onReset }: Props) {
  const area = useRef<HTMLTextAreaElement>(null);
  const faults =
    problem instanceof FltrWebhooksError
      ? problem.errors.filter(({ pointer }) => pointer.startsWith('/data'))
      : [];
  const show = (position: number) => {
    const end = text.indexOf('\n', position);
    area.current?.focus();
    area.current?.setSelectionRange(position, end === -1 ? text.length : end);
  };
  const faultList = faults.length > 0 && (
    <ul className="faults">
      {faults.map(({ pointer, message }) => {
        const position = positionOf(text, pointer.slice('/data'.length));
        return (
          <li key={`${pointer} ${message}`}>
            <button type="button" className="link-button" onClick={() => show(position)}>
              Line {lineAt(text, position)}
            </button>
            : {message}
          </li>
        );
      })}
    </ul>
  );
  return (
    <div className="field">
      <Field label="Data" error={syntaxError ?? faultList}>
        {(control) => (
          <textarea
            {...control}
            ref={area}
            rows={Math.min(24, Math.max(9, text.split('\n').length + 1))}
            spellCheck={false}
            autoCapitalize="off"
            value={text}
            onChange={({ target }) => onChange(target.value)}
          />
        )}
      </Field>
      {onReset && (
        <div>
          <Button look="small" onClick={onReset}>
            Restore the example
          </Button>
        </div>
      )}
    </div>
  );
}
