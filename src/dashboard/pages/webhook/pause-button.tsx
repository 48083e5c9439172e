import { useQuery } from '@tanstack/react-query';
import type { Webhook } from '../../../contracts/webhook.ts';
import { api } from '../../session-api.ts';
import { Confirm } from '../../components/confirm-button.tsx';
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
    <Confirm label="Pause" title="Pause this webhook?" action="Pause" disabledReason={reason} run={pause}>
      <p>
        Nothing is sent to it until you activate it again. What waits and what comes is held
        {settings ? `, each delivery for ${settings.hold_hours} hours; after that it fails as expired` : ''}.
      </p>
    </Confirm>
  );
}
