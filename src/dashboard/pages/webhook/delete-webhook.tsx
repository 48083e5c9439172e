import { Toast } from '@base-ui/react/toast';
import { useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import type { Webhook } from '../../../contracts/webhook.ts';
import { api } from '../../session-api.ts';
import { ConfirmButton } from '../../components/confirm-button.tsx';
import { Field } from '../../components/field.tsx';
import { useScopeReason } from '../../components/scope.tsx';
import { webhookQuery, webhooksQuery } from '../../queries.ts';

/** Requires the end of the id as confirmation, because several webhooks may have the same host. */
export function DeleteWebhook({ webhook: { webhook_id: id, url } }: { webhook: Webhook }) {
  const reason = useScopeReason('webhooks:write');
  const queryClient = useQueryClient();
  const navigate = useNavigate();
  const { add } = Toast.useToastManager();
  const [typed, setTyped] = useState('');
  const end = id.slice(-6);
  const remove = async () => {
    await api.deleteWebhook(id);
    add({ title: 'The webhook was deleted' });
    await navigate({ to: '/webhooks' });
    queryClient.removeQueries({ queryKey: webhookQuery(id).queryKey });
    await queryClient.invalidateQueries({ queryKey: webhooksQuery.queryKey });
  };
  return (
    <ConfirmButton
      label="Delete"
      title="Delete this webhook?"
      action="Delete permanently"
      isDanger
      disabledReason={reason}
      isReady={typed.trim() === end}
      onOpen={() => setTyped('')}
      run={remove}
    >
      <p>
        <span className="break">{url}</span>, <code className="break">{id}</code>
      </p>
      <p>
        Its secrets are erased and its waiting deliveries are canceled. Past deliveries stay in the log. This
        cannot be undone. To stop deliveries for a while, pause the webhook instead.
      </p>
      <Field label={`Type ${end}, the end of the id, to confirm`}>
        {(control) => (
          <input
            {...control}
            autoComplete="off"
            spellCheck={false}
            value={typed}
            onChange={({ target }) => setTyped(target.value)}
          />
        )}
      </Field>
    </ConfirmButton>
  );
}
