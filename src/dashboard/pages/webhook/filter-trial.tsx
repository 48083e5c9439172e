import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { JsonText } from '../../../client/raw-json.ts';
import { Button } from '../../components/button.tsx';
import { Form, InputField, SelectField } from '../../components/field.tsx';
import { fieldError, Problem } from '../../components/problem-notice.tsx';
import { isSubscribed } from '../../event-filters.ts';
import { labelsIn } from '../../policy/labels.ts';
import { eventTypesQuery } from '../../queries.ts';
import { api } from '../../session-api.ts';
import { useSubmission } from '../../submission.ts';
import { findSyntaxError, JsonEditor } from '../send-event/json-editor.tsx';

const toText = (data: unknown): string => JSON.stringify(data ?? {}, null, 2);

type Props = { webhookId: string; events: readonly string[] };

/** Whether the webhook would get an event. Nothing is sent, and nothing is kept. */
export function FilterTrial({ webhookId, events }: Props) {
  const { data: types } = useQuery(eventTypesQuery);
  const all = types?.data ?? [];
  const [chosen, setChosen] = useState<string>();
  const type = chosen ?? (all.find(({ event }) => isSubscribed(events, event)) ?? all[0])?.event ?? '';
  const example = toText(all.find(({ event }) => event === type)?.example);
  const [draft, setDraft] = useState<string>();
  const [labels, setLabels] = useState('');
  const text = draft ?? example;
  const syntaxError = findSyntaxError(text);
  const match = useSubmission({
    mutationFn: () =>
      api.matchWebhook(webhookId, { event: type, data: new JsonText(text), labels: labelsIn(labels) }),
  });
  const labelsError = fieldError(match.error, '/labels');
  const isMarked = labelsError !== undefined || fieldError(match.error, '/data') !== undefined;
  const change = (set: () => void) => {
    match.reset();
    set();
  };
  return (
    <Form onSubmit={() => syntaxError === undefined && match.mutate()}>
      <SelectField
        label="Type"
        value={type}
        options={all.map(({ event }) => event)}
        onChange={(event) =>
          change(() => {
            setChosen(event);
            setDraft(undefined);
          })
        }
      />
      <JsonEditor
        text={text}
        onChange={(next) => change(() => setDraft(next))}
        syntaxError={syntaxError}
        problem={match.error}
        onReset={draft === undefined ? undefined : () => change(() => setDraft(undefined))}
      />
      <InputField
        label="Labels (optional)"
        hint="Separated by commas."
        error={labelsError}
        value={labels}
        onChange={(next) => change(() => setLabels(next))}
      />
      {!isMarked && <Problem error={match.error} />}
      <Button type="submit" disabled={match.isPending || syntaxError !== undefined}>
        Would it be sent?
      </Button>
      <output>
        {match.data === undefined
          ? '\u00a0'
          : match.data.because === null
            ? 'Yes, the webhook gets it.'
            : `No. ${match.data.because.message}`}
      </output>
    </Form>
  );
}
