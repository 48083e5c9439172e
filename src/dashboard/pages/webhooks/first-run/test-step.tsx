import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { Attempt } from '../../../../contracts/attempt-schema.ts';
import { AttemptOutcome } from '../../../components/attempt-outcome.tsx';
import { Button } from '../../../components/button.tsx';
import { Problem } from '../../../components/problem-notice.tsx';
import { api } from '../../../session-api.ts';

const everyMs = 3000;
/** Below the limit of 60 test events a minute. */
const mostTests = 40;

type Tests = { attempt: Attempt; count: number };

const hasEnded = ({ data, error }: { data: Tests | undefined; error: unknown }): boolean =>
  error !== null || data?.attempt.outcome === 'delivered' || (data?.count ?? 0) >= mostTests;

/** Sends test events until one is delivered, for two minutes. */
function useTests(webhookId: string, event: string, onDelivered: () => void) {
  const [run, setRun] = useState(0);
  const [isStopped, setStopped] = useState(true);
  const { data, error } = useQuery({
    queryKey: ['first-test', webhookId, event, run],
    queryFn: async ({ queryKey, client }): Promise<Tests> => {
      const before = client.getQueryData<Tests>(queryKey);
      const { attempt } = await api.testWebhook({ webhook_id: webhookId, event });
      if (attempt.outcome === 'delivered') onDelivered();
      return { attempt, count: (before?.count ?? 0) + 1 };
    },
    enabled: !isStopped,
    retry: false,
    staleTime: Infinity,
    gcTime: 0,
    refetchInterval: ({ state }) => (hasEnded(state) ? false : everyMs),
    refetchIntervalInBackground: true,
    refetchOnWindowFocus: false,
  });
  return {
    attempt: data?.attempt,
    error,
    isWaiting: !isStopped && !hasEnded({ data, error }),
    start() {
      setRun(run + 1);
      setStopped(false);
    },
    stop: () => setStopped(true),
  };
}

type Props = { webhookId: string; event: string; isDone: boolean; onDelivered: () => void };

export function TestStep({ webhookId, event, isDone, onDelivered }: Props) {
  const { attempt, error, isWaiting, start, stop } = useTests(webhookId, event, onDelivered);
  return (
    <>
      <div className="row">
        <Button look={isDone ? 'small' : 'primary'} disabled={isWaiting} onClick={start}>
          {isWaiting ? 'Sending …' : isDone ? 'Send another test event' : 'Send a test event'}
        </Button>
        {isWaiting && <Button onClick={stop}>Stop</Button>}
      </div>
      <div aria-live="polite" className="stack-small">
        <Problem error={error} />
        {isWaiting && (
          <p className="muted">
            Waiting for your receiver. A test event is sent every 3 seconds until one is delivered, for 2
            minutes.
          </p>
        )}
        {attempt && <AttemptOutcome attempt={attempt} />}
      </div>
    </>
  );
}
