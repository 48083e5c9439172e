import type { ReactNode } from 'react';
import { useTimeZone } from '../preferences.ts';
import { fromTimeInput, toTimeInput } from '../time-text.ts';
import { InputField } from './field.tsx';

type Props = {
  label: string;
  hint?: ReactNode;
  error?: ReactNode;
  isRequired?: boolean;
  /** In UTC, as all times here; undefined: empty. */
  value: string | undefined;
  min?: string;
  max?: string;
  onChange: (value: string | undefined) => void;
};

/** A date and a time of day, to the minute. The label says in which zone. */
export function TimeField({ label, isRequired = false, value, min, max, onChange, ...field }: Props) {
  const zone = useTimeZone();
  return (
    <InputField
      {...field}
      label={`${label} (${zone ?? 'local time'})`}
      type="datetime-local"
      required={isRequired}
      value={toTimeInput(value, zone)}
      min={toTimeInput(min, zone)}
      max={toTimeInput(max, zone)}
      onChange={(text) => onChange(fromTimeInput(text, zone))}
    />
  );
}
