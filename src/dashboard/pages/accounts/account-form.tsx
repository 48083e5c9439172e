import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import type { Account, AccountChange } from '../../../contracts/account.ts';
import {
  accountDraftOf,
  emptyAccountDraft,
  readAccountDraft,
  type AccountDraft,
} from '../../account-draft.ts';
import { Button } from '../../components/button.tsx';
import { Modal, useDialog } from '../../components/dialog.tsx';
import { Field, Form, InputField } from '../../components/field.tsx';
import { isMissing } from '../../components/page-error.tsx';
import { fieldError, Problem } from '../../components/problem-notice.tsx';
import { api } from '../../session-api.ts';

type Put = { id: string; change: AccountChange };

/** `PUT` would change an account that exists, so creating one looks first. @throws Error */
async function createAccount({ id, change }: Put): Promise<Account> {
  const known = await api.getAccount(id).catch((error: unknown) => {
    if (isMissing(error)) return null;
    throw error;
  });
  if (known) throw new Error(`There is an account with the id ${id} already.`);
  return api.putAccount(id, change);
}

export function CreateAccount() {
  const navigate = useNavigate();
  const dialog = useDialog({
    mutationFn: createAccount,
    done: 'The account was created',
    changes: ['accounts'],
    onSuccess: ({ id }) => navigate({ to: '/accounts/$id', params: { id } }),
  });
  return (
    <Modal dialog={dialog} label="Create account" title="Create an account" scope="accounts:write">
      <AccountForm initial={emptyAccountDraft} dialog={dialog} submitLabel="Create" />
    </Modal>
  );
}

export function EditAccount({ account }: { account: Account }) {
  const dialog = useDialog({
    mutationFn: ({ id, change }: Put) => api.putAccount(id, change),
    done: 'The account was updated',
    changes: ['accounts'],
  });
  return (
    <Modal dialog={dialog} label="Edit" title="Edit account" scope="accounts:write">
      <AccountForm initial={accountDraftOf(account)} dialog={dialog} submitLabel="Save" isIdFixed />
    </Modal>
  );
}

type FormProps = {
  initial: AccountDraft;
  dialog: {
    error: Error | null;
    isPending: boolean;
    mutate: (put: Put) => void;
    toggle: (isNowOpen: boolean) => void;
  };
  submitLabel: string;
  isIdFixed?: boolean;
};

function AccountForm({ initial, dialog, submitLabel, isIdFixed = false }: FormProps) {
  const [draft, setDraft] = useState(initial);
  const [isTried, setTried] = useState(false);
  const { change, faults = {} } = readAccountDraft(draft);
  const set = (field: keyof AccountDraft) => (text: string) => setDraft({ ...draft, [field]: text });
  const errorOf = (field: keyof AccountDraft, pointer: string) =>
    (isTried ? faults[field] : undefined) ?? fieldError(dialog.error, pointer);
  const submit = () => {
    setTried(true);
    if (change) dialog.mutate({ id: draft.id, change });
  };
  return (
    <Form onSubmit={submit}>
      {!isIdFixed && (
        <InputField
          label="Id"
          hint="Of your own, for example the id that the customer has in your system. It cannot be changed."
          error={errorOf('id', '#path/id')}
          required
          maxLength={64}
          spellCheck={false}
          placeholder="customer_42"
          value={draft.id}
          onChange={set('id')}
        />
      )}
      <InputField
        label="Name"
        hint={isIdFixed ? undefined : 'Optional. Without one, the account is named by its id.'}
        error={errorOf('name', '/name')}
        maxLength={100}
        value={draft.name}
        onChange={set('name')}
      />
      <Field
        label="Metadata"
        hint="Optional: one name=value per line. For your own use, never sent to a receiver."
        error={errorOf('metadata', '/metadata')}
      >
        {(control) => (
          <textarea
            {...control}
            rows={3}
            spellCheck={false}
            placeholder="plan=enterprise"
            value={draft.metadata}
            onChange={({ target }) => set('metadata')(target.value)}
          />
        )}
      </Field>
      <InputField
        label="Most webhooks"
        hint="Empty: the default of the service."
        error={errorOf('maxWebhooks', '/limits/max_webhooks')}
        inputMode="numeric"
        value={draft.maxWebhooks}
        onChange={set('maxWebhooks')}
      />
      <InputField
        label="Attempts an hour, of each webhook"
        hint="0: no cap. Empty: the default of the service."
        error={errorOf('deliveriesPerHour', '/limits/deliveries_per_hour')}
        inputMode="numeric"
        value={draft.deliveriesPerHour}
        onChange={set('deliveriesPerHour')}
      />
      <Problem error={dialog.error} />
      <div className="dialog-actions">
        <Button onClick={() => dialog.toggle(false)}>Back</Button>
        <Button look="primary" type="submit" disabled={dialog.isPending}>
          {submitLabel}
        </Button>
      </div>
    </Form>
  );
}
