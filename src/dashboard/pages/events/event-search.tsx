import { useQuery } from '@tanstack/react-query';
import { Navigate, useNavigate } from '@tanstack/react-router';
import { useState, type FormEvent } from 'react';
import { FltrWebhooksError } from '../../../client/request.ts';
import { Field } from '../../components/field.tsx';
import { Problem } from '../../components/problem-notice.tsx';
import { eventQuery } from '../../delivery-queries.ts';

/** Opens the event with the id in the URL, or reports that there is none. */
export function EventSearch({ id }: { id: string | undefined }) {
  const [text, setText] = useState(id ?? '');
  const navigate = useNavigate();
  const found = useQuery({ ...eventQuery(id ?? ''), enabled: id !== undefined });
  if (id !== undefined && found.data) return <Navigate to="/events/$id" params={{ id }} replace />;
  const isMissing = found.error instanceof FltrWebhooksError && found.error.status === 404;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void navigate({ to: '/events', search: { id: text.trim() || undefined } });
  };
  return (
    <search>
      <form aria-label="Find an event by id" className="find" onSubmit={submit}>
        <Field
          label="Find by id"
          error={
            isMissing
              ? `No event with the id ${id} was found in this account. It may have been removed after its retention period. Ids are case-sensitive.`
              : undefined
          }
        >
          {(control) => (
            <div className="find-line">
              <input
                {...control}
                autoComplete="off"
                spellCheck={false}
                placeholder="evt_…"
                maxLength={200}
                value={text}
                onChange={({ target }) => setText(target.value)}
              />
              <button type="submit" className="button" disabled={found.isFetching && id !== undefined}>
                Find
              </button>
            </div>
          )}
        </Field>
        {!isMissing && <Problem error={found.error} />}
      </form>
    </search>
  );
}
