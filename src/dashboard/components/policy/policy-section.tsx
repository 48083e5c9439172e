import { useState } from 'react';
import { FltrWebhooksError } from '../../../client/request.ts';
import type { Webhook } from '../../../contracts/webhook.ts';
import { policyNames } from '../../policy/policy-text.ts';
import type { PolicyDraft } from '../../policy/policy-draft.ts';
import { Check } from '../choices.tsx';
import { AuthFields } from './auth-fields.tsx';
import { FilterFields } from './filter-fields.tsx';
import { HeaderFields } from './header-fields.tsx';
import { LimitFields } from './limit-fields.tsx';
import { OrderFields } from './order-fields.tsx';
import { RetryFields } from './retry-fields.tsx';
import { SignatureFields } from './signature-fields.tsx';

export type PolicyProps = {
  draft: PolicyDraft;
  onChange: (part: Partial<PolicyDraft>) => void;
  /** The error of the last submission. */
  error: unknown;
};

const names = [
  'retry',
  'apply_to',
  'timeout_ms',
  'headers',
  'auth',
  'filter',
  'rate_limit',
  'max_concurrent',
  'signatures',
  'probe_when_down',
  'ordering',
  'on_failure',
];

/** Whether the API refused something of the policy, which is shown at its field. */
export const isOfPolicy = (error: unknown): boolean =>
  error instanceof FltrWebhooksError &&
  error.errors.some(({ pointer }) => names.includes(pointer.split('/')[1] ?? ''));

type Props = PolicyProps & {
  /** The webhook that is edited. */
  webhook?: Webhook | undefined;
};

/** The policy's fields: closed at first, open as soon as one of them is refused. */
export function PolicySection({ draft, onChange, error, webhook }: Props) {
  const [isOpen, setOpen] = useState(false);
  const [shownError, setShownError] = useState<unknown>(null);
  if (error !== shownError) {
    setShownError(error);
    if (isOfPolicy(error)) setOpen(true);
  }
  const fields = { draft, onChange, error };
  const set = webhook && policyNames(webhook);
  return (
    <details className="policy" open={isOpen} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        Policy{' '}
        <span className="policy-summary">
          {set === undefined || set.length === 0
            ? 'retries, headers, authentication, filter, limits, order, signatures'
            : `set: ${set.join(', ')}`}
        </span>
      </summary>
      {isOpen && (
        <div className="policy-groups">
          <RetryFields {...fields} isEdited={webhook !== undefined} />
          <HeaderFields {...fields} />
          <AuthFields {...fields} webhook={webhook} />
          <FilterFields {...fields} />
          <LimitFields {...fields} />
          <OrderFields {...fields} />
          <SignatureFields {...fields} />
          <fieldset>
            <legend>While the receiver is down</legend>
            <Check
              label="Probe while down"
              hint="One attempt at a time tests the receiver, after 30 s, 1, 5 and 15 min. The other deliveries wait and use up no retries. When the receiver responds again, they follow, at an increasing rate."
              isChecked={draft.probesWhenDown}
              onChange={(probesWhenDown) => onChange({ probesWhenDown })}
            />
          </fieldset>
        </div>
      )}
    </details>
  );
}
