import { useId } from 'react';

type CheckProps = {
  label: string;
  hint?: string;
  isChecked: boolean;
  onChange: (isChecked: boolean) => void;
};

/** A checkbox; its hint is part of its name. */
export function Check({ label, hint, isChecked, onChange }: CheckProps) {
  return (
    <label className="choice">
      <input type="checkbox" checked={isChecked} onChange={({ target }) => onChange(target.checked)} />
      <ChoiceText label={label} hint={hint} />
    </label>
  );
}

function ChoiceText({ label, hint }: { label: string; hint: string | undefined }) {
  return (
    <span className="choice-text">
      {label}
      {hint !== undefined && <span className="hint">{hint}</span>}
    </span>
  );
}

type DescribedProps = {
  label: string;
  hint: string;
  isChecked: boolean;
  isDisabled: boolean;
  onToggle: () => void;
};

/** A checkbox for a technical name, with a description. */
export function DescribedCheck({ label, hint, isChecked, isDisabled, onToggle }: DescribedProps) {
  const id = useId();
  return (
    <div className="choice">
      <input
        id={id}
        type="checkbox"
        aria-describedby={`${id}-hint`}
        checked={isChecked}
        disabled={isDisabled}
        onChange={onToggle}
      />
      <div className="choice-text">
        <label htmlFor={id} className="mono">
          {label}
        </label>
        <span id={`${id}-hint`} className="hint">
          {hint}
        </span>
      </div>
    </div>
  );
}

type Props<Value> = {
  legend: string;
  isLegendHidden?: boolean;
  /** The radio group's name, unique on the page. */
  name: string;
  choices: readonly { value: Value; label: string; hint?: string }[];
  chosen: Value;
  onChoose: (value: Value) => void;
};

/** A radio group. */
export function Choices<Value extends string | number>(props: Props<Value>) {
  const { legend, isLegendHidden = false, name, choices, chosen, onChoose } = props;
  return (
    <fieldset>
      <legend className={isLegendHidden ? 'visually-hidden' : undefined}>{legend}</legend>
      {choices.map(({ value, label, hint }) => (
        <label key={value} className="choice">
          <input type="radio" name={name} checked={chosen === value} onChange={() => onChoose(value)} />
          <ChoiceText label={label} hint={hint} />
        </label>
      ))}
    </fieldset>
  );
}
