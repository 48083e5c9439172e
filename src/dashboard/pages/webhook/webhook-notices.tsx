import type { Webhook } from '../../../contracts/webhook.ts';
import { Ago, At, Countdown } from '../../components/time.tsx';
import { formatCount, formatShare } from '../../format.ts';
import { DownNotice } from './down-notice.tsx';
import { useShownSettings } from '../../shown-settings.ts';

/** The problems of a webhook, each with its remedy. */
export function WebhookNotices({ webhook }: { webhook: Webhook }) {
  const { active, auto_disabled: disabled, warning, hourly_cap: cap, secret_due: isSecretDue } = webhook;
  const isDown = active && webhook.health.state === 'down';
  return (
    <>
      {disabled && <AutoDisabled {...disabled} />}
      {!active && !disabled && <Paused paused={webhook.paused} />}
      {isDown && <DownNotice webhook={webhook} />}
      {active && !isDown && warning && (
        <p className="notice notice-warn">
          <strong>At least half of the deliveries of the last 24 hours failed.</strong> Above 80%, the webhook
          is disabled automatically. Check the latest failed deliveries, and send a test event.
        </p>
      )}
      {cap?.next_at && (
        <p className="notice notice-warn">
          <strong>The hourly cap is reached.</strong> Deliveries are deferred, in order. None is lost. The
          next attempt is <Countdown to={cap.next_at} />
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
          <strong>The secret is older than 90 days.</strong> Rotate it. Both secrets are valid during an
          overlap that you choose.
        </p>
      )}
    </>
  );
}

function Paused({ paused }: Pick<Webhook, 'paused'>) {
  return (
    <p className="notice">
      <strong>
        {paused?.until ? (
          <>
            Paused until <At at={paused.until} />.
          </>
        ) : (
          'Paused.'
        )}
      </strong>{' '}
      {paused?.reason && <>Reason: {paused.reason}. </>}
      <HeldText /> Activate the webhook to resume{paused?.until ? ' earlier' : ''}.
    </p>
  );
}

type Disabled = NonNullable<Webhook['auto_disabled']>;

function whyDisabled({ reason, failure_rate: rate, ended, failed }: Disabled): string {
  if (reason === 'gone') return 'the receiver responded 410 Gone.';
  if (reason === 'down') return 'the webhook was down for 24 hours.';
  return `${formatCount(failed)} of ${formatCount(ended)} deliveries failed within 24 hours (${formatShare(rate)}), which is more than 80%.`;
}

function AutoDisabled(disabled: Disabled) {
  const { at } = disabled;
  return (
    <div className="notice notice-danger">
      <p>
        <strong>
          Disabled automatically <Ago at={at} />:
        </strong>{' '}
        {whyDisabled(disabled)} Disabled at <At at={at} />.
      </p>
      <p>
        Fix the endpoint or the URL, send a test event, then activate the webhook. To resend the failed
        deliveries, use “Recover”. <HeldText />
      </p>
    </div>
  );
}

function HeldText() {
  const settings = useShownSettings();
  return <>New deliveries are held for up to {settings?.hold_hours ?? '…'} hours.</>;
}
