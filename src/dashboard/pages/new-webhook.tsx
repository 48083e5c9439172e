import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { api } from '../api.ts';
import { PageHeader } from '../components/page-header.tsx';
import { ScopeNote, useScopeReason } from '../components/scope.tsx';
import { WebhookForm, type WebhookDraft } from '../components/webhook-form.tsx';
import { CreatedWebhook } from './webhooks/created-webhook.tsx';

const emptyDraft: WebhookDraft = { url: '', events: [], description: '', format: 'fltr' };

export function NewWebhookPage() {
  const reason = useScopeReason('webhooks:write');
  const queryClient = useQueryClient();
  const [isActive, setActive] = useState(true);
  const creation = useMutation({
    mutationFn: ({ description, ...draft }: WebhookDraft) =>
      api.createWebhook({ ...draft, active: isActive, ...(description === '' ? {} : { description }) }),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: ['webhooks'] }),
  });
  if (creation.data) return <CreatedWebhook webhook={creation.data} />;
  return (
    <>
      <PageHeader
        eyebrow={
          <>
            Settings / <Link to="/webhooks">Webhooks</Link>
          </>
        }
        title="Create webhook"
        subtitle="The secret that signs its requests is made for you, and shown next."
      />
      <div className="card narrow">
        <WebhookForm
          initial={emptyDraft}
          error={creation.error}
          submitLabel="Create"
          isPending={creation.isPending}
          disabledReason={reason}
          onSubmit={(draft) => creation.mutate(draft)}
        >
          <label className="choice">
            <input type="checkbox" checked={isActive} onChange={({ target }) => setActive(target.checked)} />
            <span className="choice-text">
              Active
              <span className="hint">Otherwise its deliveries are held until you activate it.</span>
            </span>
          </label>
        </WebhookForm>
        <ScopeNote scope="webhooks:write" deed="create a webhook" />
      </div>
    </>
  );
}
