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
import { eventTypesQuery } from '../queries.ts';

export type WebhookDraft = {
  url: string;
  events: string[];
  description: string;
  format: Webhook['format'];
};

type Props = {
  initial: WebhookDraft;
  /** The error of the last submission. */
  error: unknown;
  submitLabel: string;
  isPending: boolean;
  disabledReason?: string | undefined;
  onSubmit: (draft: WebhookDraft) => void;
  /** Further fields. */
  children?: React.ReactNode;
};

/** The form to create or edit a webhook. API errors are shown at their field. */
export function WebhookForm(props: Props) {
  const { initial, error, submitLabel, isPending, disabledReason, onSubmit, children } = props;
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
    <Form ref={form} onSubmit={() => onSubmit({ ...draft, url: draft.url.trim() })} noValidate>
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
      <Choices
        legend="Format"
        name="format"
        choices={formatChoices}
        chosen={draft.format}
        onChoose={(format) => change({ format })}
      />
      {children}
      {Object.values(errors).every((each) => each === undefined) && <Problem error={error} />}
      <Button look="primary" type="submit" disabled={isPending} disabledReason={disabledReason}>
        {submitLabel}
      </Button>
    </Form>
  );
}
