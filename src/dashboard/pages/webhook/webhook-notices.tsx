import { useQuery } from '@tanstack/react-query';
import type { Webhook } from '../../../contracts/webhook.ts';
import { Ago, At, Countdown } from '../../components/time.tsx';
import { formatCount, formatShare } from '../../format.ts';
import { settingsQuery } from '../../queries.ts';

/** What is wrong with a webhook, and what to do. Nothing where all is well. */
export function Health({ webhook }: { webhook: Webhook }) {
  const { active, auto_disabled: disabled, warning, hourly_cap: cap, secret_due: isSecretDue } = webhook;
  return (
    <>
      {disabled && <AutoDisabled {...disabled} />}
      {!active && !disabled && (
        <p className="notice">
          <strong>Paused.</strong> <HeldWords /> Activate it to go on.
        </p>
      )}
      {active && warning && (
        <p className="notice notice-warn">
          <strong>At least half of what ended in the last 24 hours failed.</strong> Over 80%, the webhook is
          disabled automatically. Look at its latest failed deliveries, and try it with a test event.
        </p>
      )}
      {cap?.next_at && (
        <p className="notice notice-warn">
          <strong>The hourly cap is reached.</strong> Deliveries are deferred, in order, and none is lost: the
          first one goes <Countdown to={cap.next_at} />
          {cap.deferred_until && (
            <>
              , the last one <Countdown to={cap.deferred_until} />
            </>
          )}
          .
        </p>
      )}
      {isSecretDue && (
        <p className="notice notice-warn">
          <strong>The secret is older than 90 days.</strong> Rotate it; for an overlap of your choice both
          secrets are good.
        </p>
      )}
    </>
  );
}

function AutoDisabled({ at, failure_rate: rate, ended, failed }: NonNullable<Webhook['auto_disabled']>) {
  return (
    <div className="notice notice-danger">
      <p>
        <strong>
          Disabled automatically <Ago at={at} />:
        </strong>{' '}
        {formatCount(failed)} of {formatCount(ended)} deliveries that ended in 24 hours failed (
        {formatShare(rate)}), more than 80%. It was at <At at={at} />.
      </p>
      <p>
        Mend the receiver or the URL, see with a test event that it answers, and activate the webhook. What
        failed can be sent again by “Recover”. <HeldWords />
      </p>
    </div>
  );
}

function HeldWords() {
  const { data: settings } = useQuery(settingsQuery);
  return <>New deliveries are held, each for {settings?.hold_hours ?? '…'} hours.</>;
}
