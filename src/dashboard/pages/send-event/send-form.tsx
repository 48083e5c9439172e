import { useState } from 'react';
import { newEventId } from '../../../client/event-id.ts';
import type { EventToPublish } from '../../../client/fltr-webhooks.ts';
import { indentJson, JsonText } from '../../../client/raw-json.ts';
import { Button } from '../../components/button.tsx';
import { Form, InputField, SelectField } from '../../components/field.tsx';
import { fieldError, Problem } from '../../components/problem-notice.tsx';
import { ScopeNote, useScopeReason } from '../../components/scope.tsx';
import { findSyntaxError, JsonEditor } from './json-editor.tsx';
import { isOfOptions, noOptions, optionsOf, OptionsSection } from './options-section.tsx';
import { SentEvent, Subscribers } from './sent-event.tsx';
import { labelsIn } from '../../policy/labels.ts';
import { deliveryKeys } from '../../queries.ts';
import { api } from '../../session-api.ts';
import { useContentKey, useSubmission } from '../../submission.ts';

type Props = {
  types: { event: string; description: string; example: Record<string, unknown> | null }[];
  event: string | undefined;
  /** Initial data in place of the type's example. */
  data: string | null;
};

const toText = (data: unknown): string => JSON.stringify(data, null, 2);

export function SendForm({ types, event, data }: Props) {
  const firstType = types.find((each) => each.event === event)?.event ?? types[0]?.event ?? '';
  const [type, setType] = useState(firstType);
  const [id, setId] = useState('');
  const [labels, setLabels] = useState('');
  const [options, setOptions] = useState(noOptions);
  // One draft per type: switching types loses no input.
  const [drafts, setDrafts] = useState<Partial<Record<string, string>>>(
    data === null ? {} : { [firstType]: indentJson(data) },
  );
  const reason = useScopeReason('events:write');
  // The id if the field is empty: submitting the same form again sends the same event.
  const generatedId = useContentKey(newEventId);
  const info = types.find((each) => each.event === type);
  const example = toText(info?.example ?? {});
  const text = drafts[type] ?? example;
  const send = useSubmission({
    mutationFn: (sent: EventToPublish<Record<string, object>>) => api.publishEvent(sent),
    // No toast: it would cover the result below.
    changes: deliveryKeys,
  });
  const change = (draft: string | undefined) => {
    send.reset();
    setDrafts({ ...drafts, [type]: draft });
  };
  const syntaxError = findSyntaxError(text);
  const submit = () => {
    if (syntaxError !== undefined) return;
    const given = labelsIn(labels);
    const more = optionsOf(options);
    const eventId = id.trim() || generatedId.keyOf({ event: type, data: text, labels: given, ...more });
    send.mutate({
      event: type,
      data: new JsonText(text),
      id: eventId,
      ...(given.length > 0 ? { labels: given } : {}),
      ...more,
    });
  };
  const isMarked =
    ['/id', '/labels', '/data'].some((pointer) => fieldError(send.error, pointer) !== undefined) ||
    isOfOptions(send.error);
  return (
    <>
      <Form className="card form" onSubmit={submit}>
        <SelectField
          label="Type"
          hint={info?.description}
          value={type}
          options={types.map((each) => each.event)}
          onChange={(chosen) => {
            send.reset();
            setType(chosen);
          }}
        />
        <JsonEditor
          text={text}
          onChange={change}
          syntaxError={syntaxError}
          problem={send.error}
          onReset={text === example ? undefined : () => change(undefined)}
        />
        <IdAndLabels
          id={id}
          labels={labels}
          error={send.error}
          onChange={(typed) => {
            send.reset();
            setId(typed.id);
            setLabels(typed.labels);
          }}
        />
        <OptionsSection
          draft={options}
          onChange={(changed) => {
            send.reset();
            setOptions(changed);
          }}
          error={send.error}
        />
        {options.webhookIds.length === 0 && <Subscribers type={type} />}
        {!isMarked && <Problem error={send.error} />}
        <ScopeNote scope="events:write" action="send events" />
        <div className="row">
          <Button
            look="primary"
            type="submit"
            disabledReason={reason ?? (send.data && 'Sent. Change the event, or choose “Send another”.')}
            disabled={send.isPending || syntaxError !== undefined}
          >
            Send event
          </Button>
          {send.data && (
            <Button
              onClick={() => {
                generatedId.renew();
                send.reset();
              }}
            >
              Send another
            </Button>
          )}
        </div>
      </Form>
      {send.data && <SentEvent key={send.submittedAt} accepted={send.data} />}
    </>
  );
}

type IdAndLabelsProps = {
  id: string;
  labels: string;
  error: unknown;
  onChange: (typed: { id: string; labels: string }) => void;
};

function IdAndLabels({ id, labels, error, onChange }: IdAndLabelsProps) {
  return (
    <>
      <InputField
        label="Id (optional)"
        hint="Receivers deduplicate on it. Publishing the same event again with the same id has no effect."
        error={fieldError(error, '/id')}
        spellCheck={false}
        placeholder="Generated if empty"
        value={id}
        onChange={(typed) => onChange({ id: typed, labels })}
      />
      <InputField
        label="Labels (optional)"
        hint="The filters of webhooks can use them. They are not sent. Separated by commas, at most 10."
        error={fieldError(error, '/labels')}
        spellCheck={false}
        value={labels}
        onChange={(typed) => onChange({ id, labels: typed })}
      />
    </>
  );
}
