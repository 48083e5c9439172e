import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { retryPresets } from '../../../contracts/webhook-policy.ts';
import { presetTexts } from '../../../domain/retry-policy.ts';
import { presetLabels } from '../../policy/policy-text.ts';
import type { ClientError, PolicyDraft, RetryDraft } from '../../policy/policy-draft.ts';
import { waitsIn } from '../../policy/waits.ts';
import { settingsQuery } from '../../queries.ts';
import { Check, Choices } from '../choices.tsx';
import { InputField, SelectField } from '../field.tsx';
import { fieldError } from '../problem-notice.tsx';
import { duration } from '../../durations.ts';
import type { PolicyProps } from './policy-section.tsx';

const clientErrors: Record<ClientError, string> = {
  '408': '408 Request Timeout',
  '425': '425 Too Early',
  '429': '429 Too Many Requests: the whole webhook waits as long as Retry-After says',
  '4xx': 'Every 4xx response except 410',
};

/** How often, after which responses and until when a delivery is repeated. */
export function RetryFields({ draft, onChange, error, isEdited }: PolicyProps & { isEdited: boolean }) {
  const { retry } = draft;
  // They are the operator's: a portal does without.
  const { data: settings } = useQuery(settingsQuery);
  const [isOpenInitially] = useState(
    retry.also.length > 0 || retry.jitterPercent !== '' || retry.isDisabledWhenGone,
  );
  const change = (part: Partial<RetryDraft>) => onChange({ retry: { ...retry, ...part } });
  const choices = [
    ...retryPresets.map((value) => ({
      value,
      label: value === 'day' ? `${presetLabels.day} (recommended)` : presetLabels[value],
      hint: presetTexts[value],
    })),
    { value: 'own' as const, label: 'A schedule of your own' },
  ];
  return (
    <>
      <Choices
        legend="Retries"
        name="retry"
        choices={choices}
        chosen={retry.preset}
        onChoose={(preset) => change({ preset })}
      />
      {retry.preset === 'own' && (
        <InputField
          label="Wait before each retry"
          error={fieldError(error, '/retry/schedule_seconds')}
          hint={scheduleHint(retry.schedule)}
          placeholder="5 s, 5 min, 30 min, 2 h"
          value={retry.schedule}
          onChange={(schedule) => change({ schedule })}
        />
      )}
      <details open={isOpenInitially}>
        <summary>More about retries</summary>
        <div className="stack-small">
          <AlsoRetried also={retry.also} onChange={(also) => change({ also })} />
          <InputField
            label="Jitter, in percent"
            error={fieldError(error, '/retry/jitter')}
            hint="Each wait is longer or shorter by up to this share, 0 to 20. So deliveries that failed together do not all come back together."
            inputMode="decimal"
            placeholder="0"
            value={retry.jitterPercent}
            onChange={(jitterPercent) => change({ jitterPercent })}
          />
          <SelectField
            label="After the response 410 Gone"
            value={retry.isDisabledWhenGone ? 'disable' : 'fail'}
            options={[
              ['fail', 'The delivery fails'],
              ['disable', 'The delivery fails, and the webhook is disabled'],
            ]}
            onChange={(chosen) => change({ isDisabledWhenGone: chosen === 'disable' })}
          />
        </div>
      </details>
      {isEdited && (
        <Check
          label="Apply to waiting deliveries"
          hint="They get the schedule above, too. Otherwise each keeps the one it was accepted with."
          isChecked={draft.appliesToWaiting}
          onChange={(appliesToWaiting) => onChange({ appliesToWaiting })}
        />
      )}
      <InputField
        label="Time limit of an attempt, in ms"
        error={fieldError(error, '/timeout_ms')}
        hint="1,000 to 30,000. The receiver must respond within it."
        inputMode="numeric"
        placeholder={String(settings?.attempt_timeout_ms ?? '')}
        value={draft.timeoutMs}
        onChange={(timeoutMs) => onChange({ timeoutMs })}
      />
    </>
  );
}

function scheduleHint(text: string): string {
  const waits = waitsIn(text);
  const format = 'Separated by commas, at most 20 and 8 days in all.';
  if (waits === null || waits.length === 0) return format;
  const total = duration(waits.reduce((sum, wait) => sum + wait, 0));
  const count = waits.length === 1 ? '1 retry' : `${waits.length} retries`;
  return `${format} Now: ${count}, the last one ${total} after the first attempt.`;
}

type AlsoProps = { also: PolicyDraft['retry']['also']; onChange: (also: ClientError[]) => void };

function AlsoRetried({ also, onChange }: AlsoProps) {
  return (
    <fieldset>
      <legend>Also retry after</legend>
      {Object.entries(clientErrors).map(([value, label]) => {
        const code = value as ClientError;
        return (
          <Check
            key={code}
            label={label}
            isChecked={also.includes(code)}
            onChange={(isChecked) =>
              onChange(isChecked ? [...also, code] : also.filter((each) => each !== code))
            }
          />
        );
      })}
    </fieldset>
  );
}
