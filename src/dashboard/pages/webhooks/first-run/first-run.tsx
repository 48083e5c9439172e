import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { Webhook } from '../../../../contracts/webhook.ts';
import { Button } from '../../../components/button.tsx';
import { Section } from '../../../components/section.tsx';
import { isSubscribed } from '../../../event-filters.ts';
import { isPortal } from '../../../portal.ts';
import { eventTypesQuery, latestDeliveryQuery, sessionQuery, settingsQuery } from '../../../queries.ts';
import { CreateStep } from './create-step.tsx';
import { readFirstSteps, writeFirstSteps } from './first-run-storage.ts';
import { PublishStep } from './publish-step.tsx';
import { ReceiverStep } from './receiver-step.tsx';
import { Step } from './step.tsx';
import { TestStep } from './test-step.tsx';

/**
 * Whether the checklist is shown: while the account has no delivery, and then until the page is left or it is dismissed.
 * Undefined while loading.
 */
export function useFirstRun(): { isShown: boolean | undefined; dismiss: () => void } {
  const { data: session } = useQuery(sessionQuery);
  const { data: deliveries, error } = useQuery(latestDeliveryQuery);
  const accountId = session?.account_id ?? undefined;
  const [isDismissed, setDismissed] = useState(() => accountId !== undefined && isDismissedFor(accountId));
  const [wasEmpty, setWasEmpty] = useState(false);
  if (deliveries?.length === 0 && !wasEmpty) setWasEmpty(true);
  const mayTake = session?.scopes.includes('webhooks:write') === true && !isPortal && !isDismissed;
  return {
    isShown: !mayTake || error ? false : deliveries === undefined ? undefined : wasEmpty,
    dismiss() {
      if (accountId !== undefined)
        writeFirstSteps(accountId, { ...readFirstSteps(accountId), isDismissed: true });
      setDismissed(true);
    },
  };
}

const isDismissedFor = (accountId: string): boolean => readFirstSteps(accountId).isDismissed === true;

type Props = { webhooks: readonly Webhook[]; onDismiss: () => void };

/** The way to the first delivery. Each step is done when its result is there. */
export function FirstRun({ webhooks, onDismiss }: Props) {
  const { data: session } = useQuery(sessionQuery);
  const { data: settings } = useQuery(settingsQuery);
  const { data: types } = useQuery(eventTypesQuery);
  const { data: deliveries } = useQuery(latestDeliveryQuery);
  const accountId = session?.account_id ?? '';
  const [testedId, setTestedId] = useState(() => readFirstSteps(accountId).testedWebhookId);
  const typeOf = ({ events }: Webhook) => types?.data.find(({ event }) => isSubscribed(events, event));
  // The newest that gets events; others are for alerts.
  const webhook = webhooks.find(typeOf);
  const type = webhook && typeOf(webhook);
  const webhookId = webhook?.webhook_id;
  const onDelivered = (id: string): void => {
    writeFirstSteps(accountId, { ...readFirstSteps(accountId), testedWebhookId: id });
    setTestedId(id);
  };
  const delivery = deliveries?.[0];
  const isPublished = delivery?.status === 'delivered';
  const hasReceived = isPublished || (webhookId !== undefined && testedId === webhookId);
  const isDone = webhook !== undefined && isPublished;
  return (
    <Section
      title={isDone ? 'Your first event was delivered' : 'Get started'}
      className="card first-run"
      beside={
        <Button look="small" onClick={onDismiss}>
          {isDone ? 'Close' : 'Dismiss'}
        </Button>
      }
    >
      <ol className="steps">
        <Step number={1} title="Create a webhook" isDone={webhook !== undefined} isOpen={!webhook}>
          {settings && <CreateStep isDevelopment={settings.environment === 'development'} />}
        </Step>
        <Step number={2} title="Run a receiver" isDone={hasReceived} isOpen={webhook !== undefined}>
          {webhook && <ReceiverStep key={webhookId} webhook={webhook} />}
        </Step>
        <Step number={3} title="Send a test event" isDone={hasReceived} isOpen={webhook !== undefined}>
          {webhook && type && (
            <TestStep
              key={webhookId}
              webhookId={webhook.webhook_id}
              event={type.event}
              isDone={hasReceived}
              onDelivered={() => onDelivered(webhook.webhook_id)}
            />
          )}
        </Step>
        <Step number={4} title="Publish from your code" isDone={isPublished} isOpen={hasReceived}>
          {type && <PublishStep event={type.event} data={type.example ?? {}} delivery={delivery} />}
        </Step>
      </ol>
    </Section>
  );
}
