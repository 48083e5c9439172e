import { useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { Button } from '../../../components/button.tsx';
import { Form, InputField } from '../../../components/field.tsx';
import { fieldError, Problem } from '../../../components/problem-notice.tsx';
import { api } from '../../../session-api.ts';
import { useContentKey, useSubmission } from '../../../submission.ts';
import { storeUnreadSecret } from '../../../unread-secret.ts';

const localUrl = 'http://localhost:5000/webhooks/fltr';

/** A webhook for all events, by its URL alone. */
export function CreateStep({ isDevelopment }: { isDevelopment: boolean }) {
  const queryClient = useQueryClient();
  const [url, setUrl] = useState(isDevelopment ? localUrl : '');
  const { keyOf } = useContentKey(() => crypto.randomUUID());
  const creation = useSubmission({
    mutationFn: () => {
      const webhook = { url: url.trim(), events: ['*'] };
      return api.createWebhook(webhook, { idempotencyKey: keyOf(webhook) });
    },
    onSuccess: ({ webhook_id: id, secret }) => storeUnreadSecret(queryClient, id, secret),
    changes: ['webhooks'],
    gcTime: 0,
  });
  const error = fieldError(creation.error, '/url');
  return (
    <Form onSubmit={() => creation.mutate()}>
      <InputField
        label="Endpoint URL"
        hint="Events are sent to this URL."
        error={error}
        required
        maxLength={2048}
        placeholder="https://your-app.com/webhooks/fltr"
        value={url}
        onChange={setUrl}
      />
      {error === undefined && <Problem error={creation.error} />}
      <div className="row">
        <Button look="primary" type="submit" disabled={creation.isPending}>
          Create webhook
        </Button>
        <Link to="/webhooks/new">More options</Link>
      </div>
    </Form>
  );
}
