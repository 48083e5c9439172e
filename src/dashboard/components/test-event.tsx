import { useState } from 'react';
import { eventTypes, type EventType } from '../../contracts/event-types.ts';
import { api } from '../session-api.ts';
import { isSubscribed } from '../event-filters.ts';
import { AttemptOutcome } from './attempt-outcome.tsx';
import { Field } from './field.tsx';
import { Problem } from './problem-notice.tsx';
import { useScopeReason } from './scope.tsx';
import { useSubmission } from '../submission.ts';

type Props = { webhookId: string; events: readonly string[] };

/** Sends a test event and shows the outcome of its attempt. */
export function TestEvent({ webhookId, events }: Props) {
  const reason = useScopeReason('webhooks:write');
  const [type, setType] = useState<EventType>(
    () => eventTypes.find((each) => isSubscribed(events, each)) ?? eventTypes[0],
  );
  const test = useSubmission({
    mutationFn: () => api.testWebhook({ webhook_id: webhookId, event: type }),
  });
  return (
    <div className="stack-small">
      <div className="row row-end">
        <Field label="Event type">
          {(control) => (
            <select {...control} value={type} onChange={({ target }) => setType(target.value as EventType)}>
              {eventTypes.map((each) => (
                <option key={each}>{each}</option>
              ))}
            </select>
          )}
        </Field>
        <button
          type="button"
          className="button"
          disabled={test.isPending || reason !== undefined}
          title={reason}
          onClick={() => test.mutate()}
        >
          {test.isPending ? 'Sending …' : 'Send test event'}
        </button>
      </div>
      <p className="hint">
        A test event has the header <code>X-FLTR-Test: true</code>. It is not retried, does not appear in the
        delivery log and does not count toward the hourly cap.
      </p>
      <div aria-live="polite" aria-busy={test.isPending}>
        <Problem error={test.error} />
        {test.data && <AttemptOutcome attempt={test.data.attempt} />}
      </div>
    </div>
  );
}
