import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { operationalTypes } from '../../contracts/event-types.ts';
import { isAlert } from '../../domain/subscription.ts';
import { useShownSettings } from '../shown-settings.ts';
import { api } from '../session-api.ts';
import { isSubscribed } from '../event-filters.ts';
import { eventTypesQuery } from '../queries.ts';
import { AttemptOutcome } from './attempt-outcome.tsx';
import { Button } from './button.tsx';
import { SelectField } from './field.tsx';
import { Problem } from './problem-notice.tsx';
import { useScopeReason } from './scope.tsx';
import { useSubmission } from '../submission.ts';

type Props = { webhookId: string; events: readonly string[]; isEmail?: boolean };

/** Sends a test event and shows the outcome of its attempt. */
export function TestEvent({ webhookId, events, isEmail = false }: Props) {
  const reason = useScopeReason('webhooks:write');
  const settings = useShownSettings();
  const { data: types } = useQuery(eventTypesQuery);
  const ofService = operationalTypes.filter((each) => isSubscribed(events, each));
  const published = isAlert(events) ? [] : (types?.data.map(({ event }) => event) ?? []);
  const names = [...published, ...ofService];
  const [chosen, setType] = useState<string>();
  const type = chosen ?? names.find((each) => isSubscribed(events, each)) ?? names[0] ?? '';
  const test = useSubmission({
    mutationFn: () => api.testWebhook({ webhook_id: webhookId, event: type }),
  });
  return (
    <div className="stack-small">
      <div className="row row-end">
        <SelectField label="Event type" value={type} options={names} onChange={setType} />
        <Button
          disabledReason={reason}
          disabled={test.isPending || type === ''}
          onClick={() => test.mutate()}
        >
          {test.isPending ? 'Sending …' : 'Send test event'}
        </Button>
      </div>
      <p className="hint">
        {isEmail ? (
          'The subject of a test e-mail begins with [Test].'
        ) : (
          <>
            A test event has the header <code>{settings?.header_prefix ?? '…'}Test: true</code>.
          </>
        )}{' '}
        It is not retried, does not appear in the delivery log and does not count toward the hourly cap.
      </p>
      <div aria-live="polite" aria-busy={test.isPending}>
        <Problem error={test.error} />
        {test.data && <AttemptOutcome attempt={test.data.attempt} />}
      </div>
    </div>
  );
}
