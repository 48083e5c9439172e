import { useEffect, useRef, useState } from 'react';
import type { OperationalType } from '../../../contracts/event-types.ts';
import { alertReasons, isChosen, toggleReason, type AlertKind } from '../../alert-text.ts';
import { Button } from '../../components/button.tsx';
import { Check, Choices } from '../../components/choices.tsx';
import { Form, InputField } from '../../components/field.tsx';
import { fieldError, Problem } from '../../components/problem-notice.tsx';

export type AlertDraft = { kind: AlertKind; destination: string; types: OperationalType[]; name: string };

type Props = {
  initial: AlertDraft;
  /** The kinds to choose from; none: the kind is fixed. */
  kinds: readonly AlertKind[];
  error: unknown;
  submitLabel: string;
  isPending: boolean;
  onSubmit: (draft: AlertDraft) => void;
};

const kindChoices: Record<AlertKind, { label: string; hint: string }> = {
  slack: { label: 'Slack', hint: 'Or another service that accepts messages like Slack, such as Mattermost.' },
  email: {
    label: 'E-mail',
    hint: 'At most 30 e-mails an hour about webhooks, and 30 about failed deliveries.',
  },
  url: { label: 'Webhook URL', hint: 'A signed request to a URL of yours. The secret is on its page.' },
};

const destinations: Record<AlertKind, { label: string; hint: string; placeholder: string }> = {
  slack: {
    label: 'Slack webhook URL',
    hint: 'In Slack, create an incoming webhook for a channel and copy its URL.',
    placeholder: 'https://hooks.slack.com/services/…',
  },
  email: {
    label: 'E-mail addresses',
    hint: '1 to 5, separated by commas.',
    placeholder: 'ops@example.com, dev@example.com',
  },
  url: {
    label: 'URL',
    hint: 'Events are sent to this URL by POST, signed with a secret of its own.',
    placeholder: 'https://your-app.com/alerts',
  },
};

/** The form to create or edit an alert. API errors are shown at their field. */
export function AlertForm({ initial, kinds, error, submitLabel, isPending, onSubmit }: Props) {
  const [draft, setDraft] = useState(initial);
  const form = useRef<HTMLFormElement>(null);
  const change = (part: Partial<AlertDraft>) => setDraft({ ...draft, ...part });
  useEffect(() => {
    if (error) form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
  }, [error]);
  const { kind, types } = draft;
  const isEmail = kind === 'email';
  const urlError = fieldError(error, '/url');
  const eventsError = fieldError(error, '/events');
  const nameError = fieldError(error, '/description');
  return (
    <Form ref={form} onSubmit={() => onSubmit(draft)} noValidate>
      <fieldset>
        <legend>Notify me when</legend>
        {alertReasons.map((reason) => (
          <Check
            key={reason.label}
            label={reason.label}
            hint={reason.hint}
            isChecked={isChosen(types, reason)}
            onChange={() => change({ types: toggleReason(types, reason) })}
          />
        ))}
        {eventsError && (
          <div className="field-error" role="alert">
            Choose at least one.
          </div>
        )}
      </fieldset>
      {kinds.length > 1 && (
        <Choices
          legend="Send to"
          name="kind"
          choices={kinds.map((value) => ({ value, ...kindChoices[value] }))}
          chosen={kind}
          onChoose={(value) => change({ kind: value, destination: '' })}
        />
      )}
      <InputField
        {...destinations[kind]}
        error={urlError && isEmail ? 'Enter 1 to 5 different e-mail addresses.' : urlError}
        type={isEmail ? 'text' : 'url'}
        spellCheck={false}
        value={draft.destination}
        onChange={(destination) => change({ destination })}
      />
      <InputField
        label="Name"
        hint="Optional."
        error={nameError}
        value={draft.name}
        onChange={(name) => change({ name })}
      />
      {!urlError && !eventsError && !nameError && <Problem error={error} />}
      <div className="dialog-actions">
        <Button look="primary" type="submit" disabled={isPending}>
          {submitLabel}
        </Button>
      </div>
    </Form>
  );
}
