import { useQuery } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import type { Webhook } from '../../contracts/webhook.ts';
import { Button } from './button.tsx';
import { Choices } from './choices.tsx';
import { EventPicker } from './event-picker.tsx';
import { Form, InputField } from './field.tsx';
import { Placeholder } from './page-header.tsx';
import { formatChoices } from '../webhook-formats.ts';
import { fieldError, Problem } from './problem-notice.tsx';
import type { PolicyDraft } from '../policy/policy-draft.ts';
import { eventTypesQuery } from '../queries.ts';
import { isOfPolicy, PolicySection } from './policy/policy-section.tsx';

export type WebhookDraft = {
  url: string;
  events: string[];
  description: string;
  format: Webhook['format'];
  policy: PolicyDraft;
};

type Props = {
  initial: WebhookDraft;
  /** The webhook that is edited. */
  webhook?: Webhook;
  /** The error of the last submission. */
  error: unknown;
  submitLabel: string;
  isPending: boolean;
  disabledReason?: string | undefined;
  /** `before`: as it was when the form was opened. */
  onSubmit: (draft: WebhookDraft, before: WebhookDraft) => void;
  /** Further fields. */
  children?: React.ReactNode;
};

/** The form to create or edit a webhook. API errors are shown at their field. */
export function WebhookForm(props: Props) {
  const { initial, webhook, error, submitLabel, isPending, disabledReason, onSubmit, children } = props;
  const [before] = useState(initial);
  const [draft, setDraft] = useState(initial);
  const types = useQuery(eventTypesQuery);
  const form = useRef<HTMLFormElement>(null);
  const change = (part: Partial<WebhookDraft>) => setDraft({ ...draft, ...part });
  useEffect(() => {
    if (error) form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
  }, [error]);
  const errors = {
    url: fieldError(error, '/url'),
    events: fieldError(error, '/events'),
    description: fieldError(error, '/description'),
  };
  // Shown at once with all its fields, so that nothing moves when the event types arrive.
  if (types.isPending) return <Placeholder />;
  return (
    <Form ref={form} onSubmit={() => onSubmit({ ...draft, url: draft.url.trim() }, before)} noValidate>
      <InputField
        label="URL"
        error={errors.url}
        hint="Events are sent to this URL by POST. Production accepts https only; development also accepts http to localhost."
        type="url"
        spellCheck={false}
        placeholder="https://your-app.com/webhooks/fltr"
        value={draft.url}
        onChange={(url) => change({ url })}
      />
      <EventPicker selected={draft.events} onChange={(events) => change({ events })} error={errors.events} />
      <InputField
        label="Description"
        error={errors.description}
        hint="Optional, for your own reference."
        value={draft.description}
        onChange={(description) => change({ description })}
      />
      {draft.format !== 'email' && (
        <Choices
          legend="Format"
          name="format"
          choices={formatChoices}
          chosen={draft.format}
          onChoose={(format) => change({ format })}
        />
      )}
      {children}
      <PolicySection
        draft={draft.policy}
        onChange={(part) => change({ policy: { ...draft.policy, ...part } })}
        error={error}
        webhook={webhook}
      />
      {Object.values(errors).every((each) => each === undefined) && !isOfPolicy(error) && (
        <Problem error={error} />
      )}
      <Button look="primary" type="submit" disabled={isPending} disabledReason={disabledReason}>
        {submitLabel}
      </Button>
    </Form>
  );
}
