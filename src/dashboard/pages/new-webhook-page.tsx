import { useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { api } from '../session-api.ts';
import { Check } from '../components/choices.tsx';
import { PageHeader } from '../components/page-header.tsx';
import { ScopeNote, useScopeReason } from '../components/scope.tsx';
import { WebhookForm, type WebhookDraft } from '../components/webhook-form.tsx';
import { defaultPolicy, newPolicyIn } from '../policy/policy-draft.ts';
import { storeUnreadSecret } from '../unread-secret.ts';
import { useContentKey, useSubmission } from '../submission.ts';

const emptyDraft: WebhookDraft = {
  url: '',
  events: [],
  description: '',
  format: 'fltr',
  policy: defaultPolicy,
};

export function NewWebhookPage() {
  const reason = useScopeReason('webhooks:write');
  const queryClient = useQueryClient();
  const [isActive, setActive] = useState(true);
  const navigate = useNavigate();
  const { keyOf } = useContentKey(() => crypto.randomUUID());
  const creation = useSubmission({
    mutationFn: async ({ description, policy, ...draft }: WebhookDraft) => {
      const content = {
        ...draft,
        ...newPolicyIn(policy),
        active: isActive,
        ...(description === '' ? {} : { description }),
      };
      return api.createWebhook(content, { idempotencyKey: keyOf(content) });
    },
    async onSuccess({ webhook_id: id, secret }) {
      storeUnreadSecret(queryClient, id, secret);
      await navigate({ to: '/webhooks/$id', params: { id }, replace: true });
    },
    done: 'The webhook was created',
    changes: ['webhooks'],
    gcTime: 0,
  });
  return (
    <>
      <PageHeader
        eyebrow={<Link to="/webhooks">Webhooks</Link>}
        title="Create webhook"
        subtitle="The signing secret is generated and shown on the webhook's page."
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
          <Check
            label="Active"
            hint="If not active, its deliveries are held until you activate it."
            isChecked={isActive}
            onChange={setActive}
          />
        </WebhookForm>
        <ScopeNote scope="webhooks:write" action="create a webhook" />
      </div>
    </>
  );
}
