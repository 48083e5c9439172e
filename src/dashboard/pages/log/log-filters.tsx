import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { attemptErrorCodes } from '../../../contracts/attempt-schema.ts';
import { Form, InputField, SelectField } from '../../components/field.tsx';
import { TimeFilter } from '../../components/time-filter.tsx';
import { briefUrl } from '../../components/webhook-name.tsx';
import { errorFilterName } from '../../delivery-text.ts';
import { typesToChoose } from '../../event-filters.ts';
import { codePattern, type LogSearch } from '../../log-search.ts';
import { eventTypesQuery, webhooksQuery } from '../../queries.ts';
import { LogChips } from './log-chips.tsx';

const all = ['', 'All'] as const;
const errors = (['no_response', ...attemptErrorCodes] as const).map(
  (code) => [code, errorFilterName(code)] as const,
);

/** The filters are in the URL, so that a filtered log can be bookmarked and shared. */
export function LogFilters({ search }: { search: LogSearch }) {
  const navigate = useNavigate();
  const { data: webhooks = [] } = useQuery(webhooksQuery);
  const { data: types } = useQuery(eventTypesQuery);
  const change = (patch: Partial<LogSearch>) =>
    void navigate({ to: '/log', search: { ...search, ...patch }, resetScroll: false });
  const { webhook_id: webhookId = '', event = '', error = '' } = search;
  const names = webhooks.map(({ webhook_id: id, url }) => [id, briefUrl(url)] as const);
  const isUnknown = webhookId !== '' && !names.some(([id]) => id === webhookId);
  return (
    <search>
      <Form aria-label="Log filters" className="filters">
        <SelectField
          label="Webhook"
          value={webhookId}
          options={[all, ...(isUnknown ? [webhookId] : []), ...names]}
          onChange={(id) => change({ webhook_id: id || undefined })}
        />
        <SelectField
          label="Event type"
          value={event}
          options={[all, ...typesToChoose(types?.data ?? [], event)]}
          onChange={(type) => change({ event: type || undefined })}
        />
        <CodeFilter code={search.code} onChange={(code) => change({ code })} />
        <SelectField
          label="Error"
          value={error}
          options={[all, ...errors]}
          onChange={(chosen) => change({ error: chosen || undefined })}
        />
        <TimeFilter search={search} onChange={change} />
      </Form>
      <LogChips search={search} />
    </search>
  );
}

/** Null if the text is not a complete code. */
function readCode(text: string): string | undefined | null {
  const code = text.trim().toLowerCase();
  if (code === '') return undefined;
  return codePattern.test(code) ? code : null;
}

type CodeProps = { code: string | undefined; onChange: (code: string | undefined) => void };

/** Filters by the status code of the last response; applied as soon as the code is complete. */
function CodeFilter({ code, onChange }: CodeProps) {
  const [text, setText] = useState(code ?? '');
  const [applied, setApplied] = useState(code);
  // Changed from outside, for example by clearing the filters.
  if (applied !== code) {
    setApplied(code);
    if (readCode(text) !== code) setText(code ?? '');
  }
  return (
    <InputField
      label="Code"
      error={readCode(text) === null ? 'Enter a code such as 404 or a class such as 5xx.' : undefined}
      list="codes"
      inputMode="text"
      placeholder="404 or 5xx"
      maxLength={3}
      value={text}
      onChange={(typed) => {
        setText(typed);
        const next = readCode(typed);
        if (next !== null) onChange(next);
      }}
    >
      <datalist id="codes">
        {['2xx', '4xx', '5xx', '400', '401', '404', '410', '500', '503'].map((each) => (
          <option key={each}>{each}</option>
        ))}
      </datalist>
    </InputField>
  );
}
