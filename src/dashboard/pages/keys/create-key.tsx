import { Toast } from '@base-ui/react/toast';
import { useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { scopes, type Scope } from '../../../contracts/key.ts';
import { api } from '../../session-api.ts';
import { Modal } from '../../components/dialog.tsx';
import { Field } from '../../components/field.tsx';
import { fieldError, Problem } from '../../components/problem-notice.tsx';
import { useScopeReason } from '../../components/scope.tsx';
import { keysQuery } from '../../queries.ts';
import { NewKey } from './new-key.tsx';
import { ScopeChoice } from './scope-choice.tsx';
import { useSubmission } from '../../submission.ts';

export function CreateKey() {
  const [isOpen, setOpen] = useState(false);
  const [name, setName] = useState('');
  const [chosen, setChosen] = useState<readonly Scope[]>([]);
  const reason = useScopeReason('webhooks:write');
  const toasts = Toast.useToastManager();
  const client = useQueryClient();
  const create = useSubmission({
    mutationFn: () =>
      api.createKey({ name: name.trim(), scopes: scopes.filter((each) => chosen.includes(each)) }),
    async onSuccess() {
      toasts.add({ title: 'The key was created' });
      await client.invalidateQueries({ queryKey: keysQuery.queryKey });
    },
  });
  const open = (isNowOpen: boolean) => {
    create.reset();
    setName('');
    setChosen([]);
    setOpen(isNowOpen);
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate();
  };
  const nameError = fieldError(create.error, '/name');
  return (
    <Modal
      title={create.data ? 'Your new key' : 'Create an API key'}
      trigger="Create key"
      disabledReason={reason}
      isOpen={isOpen}
      onOpenChange={open}
    >
      {create.data ? (
        <NewKey apiKey={create.data.key} onSaved={() => open(false)} />
      ) : (
        <form className="form" onSubmit={submit}>
          <Field label="Name" hint="What the key is used for." error={nameError}>
            {(control) => (
              <input
                {...control}
                required
                maxLength={100}
                autoComplete="off"
                placeholder="Producer in production"
                value={name}
                onChange={({ target }) => setName(target.value)}
              />
            )}
          </Field>
          <ScopeChoice chosen={chosen} onChange={setChosen} />
          <Problem error={create.error} />
          <div className="dialog-actions">
            <button type="button" className="button" onClick={() => open(false)}>
              Back
            </button>
            <button
              type="submit"
              className="button button-primary"
              disabled={create.isPending || chosen.length === 0 || name.trim() === ''}
            >
              Create
            </button>
          </div>
        </form>
      )}
    </Modal>
  );
}
