import { minutesFromNow } from '../times.ts';
import { TimeField } from './time-field.tsx';

type Props = {
  /** RFC 3339; undefined: not complete. */
  value: string | undefined;
  error: string | undefined;
  onChange: (value: string | undefined) => void;
};

/** The time of the next attempt, when deliveries are rescheduled. */
export function NextAttemptField({ value, error, onChange }: Props) {
  return (
    <TimeField
      label="Next attempt"
      hint="At most 30 days ahead."
      error={error}
      isRequired
      value={value}
      min={minutesFromNow(0)}
      max={minutesFromNow(30 * 24 * 60 - 1)}
      onChange={onChange}
    />
  );
}
