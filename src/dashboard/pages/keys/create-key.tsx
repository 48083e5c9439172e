import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { accountScopes, type AccountScope } from '../../../contracts/key.ts';
import { Button } from '../../components/button.tsx';
import { DescribedCheck } from '../../components/choices.tsx';
import { CodeBlock } from '../../components/code-block.tsx';
import { Modal, useDialog } from '../../components/dialog.tsx';
import { Form, InputField } from '../../components/field.tsx';
import { fieldError, Problem } from '../../components/problem-notice.tsx';
import { sessionQuery } from '../../queries.ts';
import { api } from '../../session-api.ts';

export function CreateKey() {
  const [name, setName] = useState('');
  const [chosen, setChosen] = useState<readonly AccountScope[]>([]);
  const dialog = useDialog({
    mutationFn: () =>
      api.createKey({ name: name.trim(), scopes: accountScopes.filter((each) => chosen.includes(each)) }),
    done: 'The key was created',
    changes: ['keys'],
    staysOpen: true,
    onToggle() {
      setName('');
      setChosen([]);
    },
  });
  const close = () => dialog.toggle(false);
  return (
    <Modal dialog={dialog} label="Create key" title={dialog.data ? 'Your new key' : 'Create an API key'}>
      {dialog.data ? (
        <NewKey apiKey={dialog.data.key} onSaved={close} />
      ) : (
        <Form onSubmit={() => dialog.mutate()}>
          <InputField
            label="Name"
            hint="For example, the name of the system that uses it."
            error={fieldError(dialog.error, '/name')}
            required
            maxLength={100}
            placeholder="Producer in production"
            value={name}
            onChange={setName}
          />
          <ScopeChoice chosen={chosen} onChange={setChosen} />
          <Problem error={dialog.error} />
          <div className="dialog-actions">
            <Button onClick={close}>Back</Button>
            <Button
              look="primary"
              type="submit"
              disabled={dialog.isPending || chosen.length === 0 || name.trim() === ''}
            >
              Create
            </Button>
          </div>
        </Form>
      )}
    </Modal>
  );
}

const meanings: Record<AccountScope, string> = {
  'webhooks:read':
    'Read webhooks, deliveries, events, keys and settings, but no secrets. Required for this dashboard.',
  'webhooks:write':
    'Create, change and delete webhooks, read their secrets, retry deliveries, create and revoke keys.',
  'events:write': 'Publish events. Sufficient for a producer.',
};

type ChoiceProps = { chosen: readonly AccountScope[]; onChange: (chosen: AccountScope[]) => void };

/** A key can only be given scopes that the session's key has. */
function ScopeChoice({ chosen, onChange }: ChoiceProps) {
  const { data: session } = useQuery(sessionQuery);
  return (
    <fieldset>
      <legend>Scopes</legend>
      {accountScopes.map((scope) => {
        const isOwn = session?.scopes.includes(scope) ?? false;
        const isChosen = chosen.includes(scope);
        const refusal = isOwn ? '' : ' Your key does not have this scope, so it cannot grant it.';
        return (
          <DescribedCheck
            key={scope}
            label={scope}
            hint={meanings[scope] + refusal}
            isChecked={isChosen}
            isDisabled={!isOwn}
            onToggle={() => onChange(isChosen ? chosen.filter((each) => each !== scope) : [...chosen, scope])}
          />
        );
      })}
    </fieldset>
  );
}

function NewKey({ apiKey, onSaved }: { apiKey: string; onSaved: () => void }) {
  return (
    <div className="stack">
      <p className="notice notice-warn">Copy the key now and store it safely. It is not shown again.</p>
      <CodeBlock label="API key" text={apiKey} />
      <CodeBlock
        label="Try it"
        text={`curl ${location.origin}/v1/event-types -H "Authorization: Bearer ${apiKey}"`}
      />
      <div className="dialog-actions">
        <Button look="primary" onClick={onSaved}>
          I have saved it
        </Button>
      </div>
    </div>
  );
}
