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
          <span className="choice-text">
            {label}
            {hint !== undefined && <span className="hint">{hint}</span>}
          </span>
        </label>
      ))}
    </fieldset>
  );
}
