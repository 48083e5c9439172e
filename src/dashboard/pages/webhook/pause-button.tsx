import { useQuery } from '@tanstack/react-query';
import type { Webhook } from '../../../contracts/webhook.ts';
import { api } from '../../session-api.ts';
import { ConfirmButton } from '../../components/confirm-button.tsx';
import { useScopeReason } from '../../components/scope.tsx';
import { settingsQuery } from '../../queries.ts';
import { useWebhookChanged } from '../../use-webhook-changed.ts';

export function PauseButton({ webhook: { webhook_id: id } }: { webhook: Webhook }) {
  const reason = useScopeReason('webhooks:write');
  const { data: settings } = useQuery(settingsQuery);
  const changed = useWebhookChanged();
  const pause = async () => {
    await api.updateWebhook(id, { active: false });
    await changed('The webhook is paused');
  };
  return (
    <ConfirmButton
      label="Pause"
      title="Pause this webhook?"
      action="Pause"
      disabledReason={reason}
      run={pause}
    >
      <p>
        Nothing is sent until you activate it again. Waiting and new deliveries are held
        {settings ? ` for up to ${settings.hold_hours} hours, then they fail as expired` : ''}.
      </p>
    </ConfirmButton>
  );
}
