import { useId } from 'react';
import { signatureVersions, type SignatureVersion } from '../../../contracts/webhook-policy.ts';
import { Check } from '../choices.tsx';
import { fieldError } from '../problem-notice.tsx';
import type { PolicyProps } from './policy-section.tsx';

const texts: Record<SignatureVersion, { label: string; hint: string }> = {
  v1: { label: 'v1: HMAC with the secret', hint: 'The receiver verifies it with the secret.' },
  v1a: {
    label: 'v1a: ed25519',
    hint: "The receiver verifies it with a public key, and has no secret with which it could sign. The webhook's page shows the key.",
  },
};

/** The versions in `webhook-signature`. */
export function SignatureFields({ draft: { signatures }, onChange, error }: PolicyProps) {
  const id = useId();
  const problem = fieldError(error, '/signatures');
  const toggle = (version: SignatureVersion, isChecked: boolean) =>
    onChange({
      signatures: signatureVersions.filter((each) =>
        each === version ? isChecked : signatures.includes(each),
      ),
    });
  return (
    <fieldset
      tabIndex={-1}
      aria-describedby={`${id}-hint ${id}-error`}
      aria-invalid={problem === undefined ? undefined : true}
    >
      <legend>Signatures</legend>
      <p id={`${id}-hint`} className="hint">
        In <code>webhook-signature</code>. With both, you can move receivers from one to the other step by
        step.
      </p>
      {problem !== undefined && (
        <div id={`${id}-error`} className="field-error">
          {problem}
        </div>
      )}
      {signatureVersions.map((version) => (
        <Check
          key={version}
          {...texts[version]}
          isChecked={signatures.includes(version)}
          onChange={(isChecked) => toggle(version, isChecked)}
        />
      ))}
    </fieldset>
  );
}
