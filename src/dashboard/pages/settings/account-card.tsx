import { useState } from 'react';
import { Button, CopyButton } from '../../components/button.tsx';
import { Form, InputField } from '../../components/field.tsx';
import { fieldError, Problem } from '../../components/problem-notice.tsx';
import { ScopeNote, useScopeReason } from '../../components/scope.tsx';
import { Facts, Section } from '../../components/section.tsx';
import { api } from '../../session-api.ts';
import { useSubmission } from '../../submission.ts';

type Props = { id: string; name: string };

export function AccountCard({ id, name }: Props) {
  return (
    <Section title="Account">
      <Facts
        facts={{
          Id: (
            <span className="row">
              <code className="break">{id}</code> <CopyButton text={id} />
            </span>
          ),
        }}
      />
      {/* Anew where it was renamed elsewhere. */}
      <RenameForm key={name} name={name} />
    </Section>
  );
}

function RenameForm({ name }: { name: string }) {
  const [draft, setDraft] = useState(name);
  const reason = useScopeReason('webhooks:write');
  const rename = useSubmission({
    mutationFn: () => api.updateOwnAccount({ name: draft }),
    done: 'The account was renamed',
    changes: ['session'],
  });
  const error = fieldError(rename.error, '/name');
  return (
    <Form onSubmit={() => rename.mutate()}>
      <InputField
        label="Name"
        error={error}
        required
        maxLength={100}
        disabled={reason !== undefined}
        value={draft}
        onChange={setDraft}
      />
      {error === undefined && <Problem error={rename.error} />}
      <div className="row">
        <Button type="submit" disabled={rename.isPending || draft === name} disabledReason={reason}>
          Rename
        </Button>
      </div>
      <ScopeNote scope="webhooks:write" action="rename the account" />
    </Form>
  );
}
