import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { Webhook } from '../../../contracts/webhook.ts';
import {
  alertReasons,
  destinationOf,
  kindOf,
  targetText,
  typesOf,
  urlIn,
  type AlertKind,
} from '../../alert-text.ts';
import { AttemptOutcome } from '../../components/attempt-outcome.tsx';
import { Button } from '../../components/button.tsx';
import { ConfirmButton, Modal, useDialog } from '../../components/dialog.tsx';
import { SelectField } from '../../components/field.tsx';
import { Problem } from '../../components/problem-notice.tsx';
import { useScopeReason } from '../../components/scope.tsx';
import { settingsQuery, webhookKeys } from '../../queries.ts';
import { api } from '../../session-api.ts';
import { useContentKey, useSubmission } from '../../submission.ts';
import { AlertForm, type AlertDraft } from './alert-form.tsx';

/** All reasons but failed deliveries, of which there may be many. */
const suggestedTypes = alertReasons
  .flatMap(({ types }) => types)
  .filter((type) => type !== 'delivery.failed');

export function CreateAlert() {
  const { data: settings } = useQuery(settingsQuery);
  const { keyOf } = useContentKey(() => crypto.randomUUID());
  const kinds: AlertKind[] = settings?.email_alerts ? ['slack', 'email', 'url'] : ['slack', 'url'];
  const dialog = useDialog({
    mutationFn: async ({ kind, destination, types, name }: AlertDraft) => {
      const content = {
        url: urlIn(kind, destination),
        events: types,
        format: kind === 'url' ? ('fltr' as const) : kind,
        ...(name === '' ? {} : { description: name }),
      };
      return api.createWebhook(content, { idempotencyKey: keyOf(content) });
    },
    done: 'The alert was created',
    changes: webhookKeys,
  });
  return (
    <Modal dialog={dialog} label="Create alert" title="Create alert">
      <AlertForm
        initial={{ kind: 'slack', destination: '', types: suggestedTypes, name: '' }}
        kinds={kinds}
        error={dialog.error}
        submitLabel="Create"
        isPending={dialog.isPending}
        onSubmit={(draft) => dialog.mutate(draft)}
      />
    </Modal>
  );
}

type Props = { alert: Webhook };

export function AlertActions({ alert }: Props) {
  return (
    <div className="row">
      <TestAlert alert={alert} />
      <EditAlert alert={alert} />
      <PauseOrActivate alert={alert} />
      <DeleteAlert alert={alert} />
    </div>
  );
}

function EditAlert({ alert }: Props) {
  const { webhook_id: id, url, events, description } = alert;
  const kind = kindOf(alert);
  const before: AlertDraft = {
    kind,
    destination: destinationOf(url),
    types: typesOf(events),
    name: description ?? '',
  };
  const dialog = useDialog({
    mutationFn: async ({ destination, types, name }: AlertDraft) =>
      api.updateWebhook(id, {
        ...(destination === before.destination ? {} : { url: urlIn(kind, destination) }),
        ...(types.join() === before.types.join() ? {} : { events: types }),
        description: name === '' ? null : name,
      }),
    done: 'The alert was updated',
    changes: webhookKeys,
  });
  return (
    <Modal dialog={dialog} label="Edit" title="Edit alert">
      <AlertForm
        initial={before}
        kinds={[]}
        error={dialog.error}
        submitLabel="Save"
        isPending={dialog.isPending}
        onSubmit={(draft) => dialog.mutate(draft)}
      />
    </Modal>
  );
}

/** Sends an example of one of its events, and shows the outcome. */
function TestAlert({ alert: { webhook_id: id, events } }: Props) {
  const types = typesOf(events);
  const [chosen, setChosen] = useState<(typeof types)[number]>();
  const type = chosen !== undefined && types.includes(chosen) ? chosen : (types[0] ?? 'webhook.disabled');
  const dialog = useDialog({
    mutationFn: () => api.testWebhook({ webhook_id: id, event: type }),
    staysOpen: true,
  });
  return (
    <Modal dialog={dialog} label="Send test alert" title="Send a test alert">
      <div className="stack-small">
        <p className="muted">
          The alert is sent now, with example values. It is not retried and not in the log.
        </p>
        <SelectField label="Event" value={type} options={types} onChange={setChosen} />
        <div aria-live="polite" aria-busy={dialog.isPending}>
          <Problem error={dialog.error} />
          {dialog.data && <AttemptOutcome attempt={dialog.data.attempt} />}
        </div>
        <div className="dialog-actions">
          <Button look="primary" disabled={dialog.isPending} onClick={() => dialog.mutate()}>
            {dialog.isPending ? 'Sending …' : 'Send'}
          </Button>
        </div>
      </div>
    </Modal>
  );
}

function PauseOrActivate({ alert: { webhook_id: id, active } }: Props) {
  const reason = useScopeReason('webhooks:write');
  const change = useSubmission({
    // Held alerts are out of date. There is no toast: the state beside the button changes.
    mutationFn: () =>
      active ? api.pauseWebhook(id, {}) : api.updateWebhook(id, { active: true, held: 'discard' as const }),
    changes: webhookKeys,
  });
  return (
    <>
      <Button disabledReason={reason} disabled={change.isPending} onClick={() => change.mutate()}>
        {active ? 'Pause' : 'Activate'}
      </Button>
      <Problem error={change.error} />
    </>
  );
}

function DeleteAlert({ alert }: Props) {
  return (
    <ConfirmButton
      label="Delete"
      title="Delete this alert?"
      action="Delete"
      isDanger
      run={() => api.deleteWebhook(alert.webhook_id)}
      done="The alert was deleted"
      changes={webhookKeys}
    >
      <p className="break">{targetText(alert)}</p>
      <p>
        You are no longer notified. This cannot be undone. To stop it for a while, pause the alert instead.
      </p>
    </ConfirmButton>
  );
}
