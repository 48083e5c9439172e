import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { Webhook } from '../../contracts/webhook.ts';
import { isAlert } from '../../domain/subscription.ts';
import { reasonsText, targetText } from '../alert-text.ts';
import { DeliveryBadge, StateDot } from '../components/badges.tsx';
import { Page, Placeholder } from '../components/page-header.tsx';
import { Problem } from '../components/problem-notice.tsx';
import { ScopeNote } from '../components/scope.tsx';
import { EmptyState, Facts } from '../components/section.tsx';
import { StateDetails } from '../components/state-details.tsx';
import { Ago } from '../components/time.tsx';
import { lastSentQuery, settingsQuery, webhooksQuery } from '../queries.ts';
import { webhookStateOf } from '../webhook-state.ts';
import { AlertActions, CreateAlert } from './alerts/alert-actions.tsx';

export function AlertsPage() {
  const { data: webhooks, error } = useQuery(webhooksQuery);
  const { data: settings } = useQuery(settingsQuery);
  const alerts = webhooks?.filter(({ events }) => isAlert(events));
  return (
    <Page
      title="Alerts"
      subtitle="Get notified in Slack, by e-mail or at a URL when a webhook or a delivery has a problem."
      actions={<CreateAlert />}
    >
      <Problem error={error} />
      <ScopeNote scope="webhooks:write" action="create or change an alert" />
      {alerts?.length === 0 ? (
        <EmptyState title="No alerts yet">
          <p>
            Create an alert to hear when a webhook is down or disabled, a secret is old, or a delivery fails.
          </p>
        </EmptyState>
      ) : (
        (alerts !== undefined || !error) && <AlertList alerts={alerts} />
      )}
      {settings?.email_alerts === false && (
        <p className="hint">
          E-mail alerts need a mail server: the operator of the service sets <code>FLTR_SMTP_URL</code> and{' '}
          <code>FLTR_SMTP_FROM</code>.
        </p>
      )}
    </Page>
  );
}

/** `alerts`: undefined while loading. */
function AlertList({ alerts }: { alerts: readonly Webhook[] | undefined }) {
  if (alerts === undefined) return <Placeholder />;
  return (
    <ul className="alert-list" aria-label="Alerts, newest first">
      {alerts.map((alert) => (
        <li key={alert.webhook_id} className="card stack-small">
          <AlertSummary alert={alert} />
          <AlertActions alert={alert} />
        </li>
      ))}
    </ul>
  );
}

function AlertSummary({ alert }: { alert: Webhook }) {
  const { webhook_id: id, description, events } = alert;
  const target = targetText(alert);
  return (
    <>
      <h2 className="break">
        <Link to="/webhooks/$id" params={{ id }}>
          {description ?? target}
        </Link>
      </h2>
      <Facts
        facts={{
          'Send to': <span className="break">{target}</span>,
          'Notify when': reasonsText(events),
          State: (
            <>
              <StateDot state={webhookStateOf(alert)} />
              <StateDetails webhook={alert} />
            </>
          ),
          'Last sent': <LastSent id={id} />,
        }}
      />
    </>
  );
}

function LastSent({ id }: { id: string }) {
  const { data } = useQuery(lastSentQuery(id));
  if (data === undefined) return '\u00a0';
  const [delivery] = data.data;
  if (!delivery) return 'Never';
  return (
    <span className="row">
      <Link to="/log/$id" params={{ id: delivery.id }}>
        <Ago at={delivery.created_at} />
      </Link>
      <DeliveryBadge status={delivery.status} />
    </span>
  );
}
