import { useState } from 'react';
import type { Account } from '../../../contracts/account.ts';
import { Button } from '../../components/button.tsx';
import { CodeBlock } from '../../components/code-block.tsx';
import { ConfirmButton, Modal, useDialog } from '../../components/dialog.tsx';
import { InputField } from '../../components/field.tsx';
import { Problem } from '../../components/problem-notice.tsx';
import { At } from '../../components/time.tsx';
import { api } from '../../session-api.ts';

/** Requires the account's id as confirmation. */
export function DeleteAccount({ account: { id, name, usage } }: { account: Account }) {
  const [typed, setTyped] = useState('');
  return (
    <ConfirmButton
      label="Delete"
      title={`Delete the account “${name}”?`}
      action="Delete permanently"
      isDanger
      scope="accounts:write"
      isReady={typed.trim() === id}
      onToggle={() => setTyped('')}
      run={() => api.deleteAccount(id)}
      done="The account is being deleted"
      changes={['accounts']}
    >
      <p>
        Its {usage.webhooks === 1 ? 'webhook is' : `${usage.webhooks} webhooks are`} deleted, its waiting
        deliveries are canceled, its keys are revoked, and all of its events and deliveries are erased. This
        cannot be undone.
      </p>
      <InputField
        label={`Type ${id}, the account's id, to confirm`}
        spellCheck={false}
        value={typed}
        onChange={setTyped}
      />
    </ConfirmButton>
  );
}

/** A one-time link to the pages of the account, for one of its people. */
export function PortalLinkDialog({ account: { id, name } }: { account: Account }) {
  const dialog = useDialog({
    mutationFn: () => api.createPortalLink({ account_id: id }),
    staysOpen: true,
  });
  return (
    <Modal dialog={dialog} label="Portal link" title={`Portal link for “${name}”`} scope="webhooks:write">
      {dialog.data ? (
        <div className="stack">
          <p className="notice notice-warn">
            Copy the link now: it is not shown again. It opens once, until <At at={dialog.data.expires_at} />.
          </p>
          <CodeBlock label="Portal link" text={dialog.data.url} />
          <div className="dialog-actions">
            <Button look="primary" onClick={() => dialog.toggle(false)}>
              Done
            </Button>
          </div>
        </div>
      ) : (
        <>
          <p>
            Whoever opens the link can read and change the webhooks of this account for 12 hours, and can read
            its deliveries and events. The link opens once.
          </p>
          <Problem error={dialog.error} />
          <div className="dialog-actions">
            <Button onClick={() => dialog.toggle(false)}>Back</Button>
            <Button look="primary" disabled={dialog.isPending} onClick={() => dialog.mutate()}>
              Create link
            </Button>
          </div>
        </>
      )}
    </Modal>
  );
}
