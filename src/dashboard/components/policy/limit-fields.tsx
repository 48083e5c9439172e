import { InputField } from '../field.tsx';
import { fieldError } from '../problem-notice.tsx';
import type { PolicyProps } from './policy-section.tsx';

/** How much the receiver gets at once. */
export function LimitFields({ draft, onChange, error }: PolicyProps) {
  return (
    <fieldset>
      <legend>Limits</legend>
      <div className="columns-small">
        <InputField
          label="Attempts at most"
          error={fieldError(error, '/rate_limit/attempts') ?? otherRateError(error)}
          hint="Empty: only the hourly cap."
          inputMode="numeric"
          placeholder="no limit"
          value={draft.rateAttempts}
          onChange={(rateAttempts) => onChange({ rateAttempts })}
        />
        <InputField
          label="in so many seconds"
          error={fieldError(error, '/rate_limit/seconds')}
          hint="1 to 3,600."
          inputMode="numeric"
          value={draft.rateSeconds}
          onChange={(rateSeconds) => onChange({ rateSeconds })}
        />
        <InputField
          label="Requests at once"
          error={fieldError(error, '/max_concurrent')}
          hint="1 to 100."
          inputMode="numeric"
          placeholder="no limit"
          value={draft.maxConcurrent}
          onChange={(maxConcurrent) => onChange({ maxConcurrent })}
        />
      </div>
      <p className="hint">Deliveries beyond a limit are sent later, in order. None is dropped.</p>
    </fieldset>
  );
}

/** Errors about both fields. */
const otherRateError = (error: unknown): string | undefined =>
  fieldError(error, '/rate_limit/seconds') === undefined ? fieldError(error, '/rate_limit') : undefined;
