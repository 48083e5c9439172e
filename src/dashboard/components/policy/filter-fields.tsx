import { useQuery } from '@tanstack/react-query';
import { useId } from 'react';
import {
  filterOps,
  newCondition,
  pathsOf,
  shownAs,
  type ConditionDraft,
  type FilterDraft,
  type FilterOp,
} from '../../policy/filter-draft.ts';
import { eventTypesQuery } from '../../queries.ts';
import { Button } from '../button.tsx';
import { Field, InputField, SelectField } from '../field.tsx';
import { fieldError } from '../problem-notice.tsx';
import type { PolicyProps } from './policy-section.tsx';

const kinds = [
  ['none', 'All events of its types'],
  ['list', 'Those that meet conditions'],
  ['json', 'Those that match JSON'],
] as const;

/** Which events of its types a webhook gets. */
export function FilterFields({ draft: { filter }, onChange, error }: PolicyProps) {
  const change = (next: FilterDraft) => onChange({ filter: next });
  const problem = fieldError(error, '/filter');
  return (
    <fieldset>
      <legend>Filter</legend>
      <SelectField
        label="Which events it gets"
        hint="The filter is applied once, when an event is accepted. Save it, then try it with an example on the webhook's page."
        error={filter.kind === 'json' ? undefined : problem}
        value={filter.kind}
        options={kinds}
        onChange={(kind) => change(shownAs(filter, kind))}
      />
      {filter.kind === 'list' && <Conditions filter={filter} onChange={change} />}
      {filter.kind === 'json' && (
        <Field
          label="Filter"
          error={problem}
          hint={'{"all": […]}, {"any": […]} or {"not": …} of conditions with path, op and value.'}
        >
          {(control) => (
            <textarea
              {...control}
              rows={Math.min(16, Math.max(6, filter.text.split('\n').length + 1))}
              spellCheck={false}
              value={filter.text}
              onChange={({ target }) => change({ ...filter, text: target.value })}
            />
          )}
        </Field>
      )}
    </fieldset>
  );
}

type ConditionsProps = { filter: FilterDraft; onChange: (filter: FilterDraft) => void };

function Conditions({ filter, onChange }: ConditionsProps) {
  const { conditions } = filter;
  const paths = useId();
  const { data: types } = useQuery(eventTypesQuery);
  const change = (index: number, part: Partial<ConditionDraft>) =>
    onChange({
      ...filter,
      conditions: conditions.map((each, at) => (at === index ? { ...each, ...part } : each)),
    });
  return (
    <>
      <SelectField
        label="An event must meet"
        value={filter.join}
        options={[
          ['all', 'all of these conditions'],
          ['any', 'at least one of these conditions'],
        ]}
        onChange={(join) => onChange({ ...filter, join })}
      />
      <datalist id={paths}>
        {pathsOf((types?.data ?? []).map(({ example }) => example)).map((path) => (
          <option key={path}>{path}</option>
        ))}
      </datalist>
      {conditions.map((condition, index) => (
        // A condition has no state of its own.
        <div key={index} className="policy-row policy-condition">
          <InputField
            label={`Path ${index + 1}`}
            list={paths}
            spellCheck={false}
            value={condition.path}
            onChange={(path) => change(index, { path })}
          />
          <SelectField<FilterOp>
            label={`Comparison ${index + 1}`}
            value={condition.op}
            options={Object.entries(filterOps) as [FilterOp, string][]}
            onChange={(op) => change(index, { op })}
          />
          <ConditionValue
            label={`Value ${index + 1}`}
            condition={condition}
            onChange={(value) => change(index, { value })}
          />
          <Button
            look="small"
            aria-label={`Remove condition ${index + 1}`}
            disabled={conditions.length === 1}
            onClick={() =>
              onChange({ ...filter, conditions: conditions.filter((_each, at) => at !== index) })
            }
          >
            Remove
          </Button>
        </div>
      ))}
      <div>
        <Button
          look="small"
          onClick={() => onChange({ ...filter, conditions: [...conditions, newCondition] })}
        >
          Add a condition
        </Button>
      </div>
      <p className="hint">
        A path leads from the event to a value: <code>/event</code>, <code>/data/…</code>,{' '}
        <code>/labels</code>. Numbers, true and false are compared as such; put them in quotes to compare them
        as text.
      </p>
    </>
  );
}

type ValueProps = { label: string; condition: ConditionDraft; onChange: (value: string) => void };

function ConditionValue({ label, condition: { op, value }, onChange }: ValueProps) {
  if (op === 'exists')
    return (
      <SelectField
        label={label}
        value={value === 'false' ? 'false' : 'true'}
        options={[
          ['true', 'yes'],
          ['false', 'no'],
        ]}
        onChange={onChange}
      />
    );
  return (
    <InputField
      label={label}
      spellCheck={false}
      placeholder={op === 'in' || op === 'not_in' ? 'a, b, c' : ''}
      value={value}
      onChange={onChange}
    />
  );
}
