import { useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import type { EventToPublish } from '../../../client/fltr-webhooks.ts';
import { indentJson, JsonText } from '../../../client/raw-json.ts';
import type { EventType } from '../../../contracts/event-types.ts';
import { api } from '../../session-api.ts';
import { Field } from '../../components/field.tsx';
import { fieldError, Problem } from '../../components/problem-notice.tsx';
import { ScopeNote, useScopeReason } from '../../components/scope.tsx';
import { findSyntaxError, JsonEditor } from './json-editor.tsx';
import { SentEvent } from './sent-event.tsx';
import { Subscribers } from './subscribers.tsx';
import { newEventId } from '../../../client/event-id.ts';
import { useContentKey, useSubmission } from '../../submission.ts';

type Props = {
  types: { event: EventType; description: string; example: { data: Record<string, unknown> } }[];
  event: EventType | undefined;
  /** Initial data in place of the type's example. */
  data: string | null;
};

const toText = (data: unknown): string => JSON.stringify(data, null, 2);

export function SendForm({ types, event: firstType = 'document.processed', data }: Props) {
  const [type, setType] = useState<EventType>(firstType);
  const [id, setId] = useState('');
  // One draft per type: switching types loses no input.
  const [drafts, setDrafts] = useState<Partial<Record<EventType, string>>>(
    data === null ? {} : { [firstType]: indentJson(data) },
  );
  const reason = useScopeReason('events:write');
  const client = useQueryClient();
  // The id if the field is empty: submitting the same form again sends the same event.
  const generatedId = useContentKey(newEventId);
  const info = types.find((each) => each.event === type);
  const example = toText(info?.example.data ?? {});
  const text = drafts[type] ?? example;
  const send = useSubmission({
    mutationFn: (event: EventToPublish) => api.publishEvent(event),
    // No toast: it would cover the result below.
    async onSuccess() {
      await Promise.all([
        client.invalidateQueries({ queryKey: ['events'] }),
        client.invalidateQueries({ queryKey: ['deliveries'] }),
      ]);
    },
  });
  const change = (draft: string | undefined) => {
    send.reset();
    setDrafts({ ...drafts, [type]: draft });
  };
  const syntaxError = findSyntaxError(text);
  const submit = (submitted: FormEvent) => {
    submitted.preventDefault();
    if (syntaxError !== undefined) return;
    const eventId = id.trim() || generatedId.keyOf({ event: type, data: text });
    send.mutate({ event: type, data: new JsonText(text), id: eventId });
  };
  const idError = fieldError(send.error, '/id');
  const isMarked = idError !== undefined || fieldError(send.error, '/data') !== undefined;
  return (
    <>
      <form className="card form" onSubmit={submit}>
        <Field label="Type" hint={info?.description}>
          {(control) => (
            <select
              {...control}
              value={type}
              onChange={({ target }) => {
                send.reset();
                setType(types.find((each) => each.event === target.value)?.event ?? type);
              }}
            >
              {types.map((each) => (
                <option key={each.event}>{each.event}</option>
              ))}
            </select>
          )}
        </Field>
        <JsonEditor
          text={text}
          onChange={change}
          syntaxError={syntaxError}
          problem={send.error}
          onReset={text === example ? undefined : () => change(undefined)}
        />
        <Field
          label="Id (optional)"
          hint="Receivers deduplicate on it. Publishing the same event again with the same id has no effect."
          error={idError}
        >
          {(control) => (
            <input
              {...control}
              autoComplete="off"
              spellCheck={false}
              placeholder="Generated if empty"
              value={id}
              onChange={({ target }) => {
                send.reset();
                setId(target.value);
              }}
            />
          )}
        </Field>
        <Subscribers type={type} />
        {!isMarked && <Problem error={send.error} />}
        <ScopeNote scope="events:write" action="send events" />
        <div className="row">
          <button
            type="submit"
            className="button button-primary"
            title={reason ?? (send.data && 'Sent. Change the event, or choose “Send another”.')}
            disabled={
              reason !== undefined || send.isPending || send.data !== undefined || syntaxError !== undefined
            }
          >
            Send event
          </button>
          {send.data && (
            <button
              type="button"
              className="button"
              onClick={() => {
                generatedId.renew();
                send.reset();
              }}
            >
              Send another
            </button>
          )}
        </div>
      </form>
      {send.data && <SentEvent key={send.submittedAt} accepted={send.data} />}
    </>
  );
}
