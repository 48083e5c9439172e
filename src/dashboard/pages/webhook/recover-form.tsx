import { useState, type FormEvent } from 'react';
import type { Recovery, RecoveryKind } from '../../../contracts/recovery.ts';
import type { Webhook } from '../../../contracts/webhook.ts';
import { api } from '../../session-api.ts';
import { Field } from '../../components/field.tsx';
import { fieldError, Problem } from '../../components/problem-notice.tsx';
import { useScopeReason } from '../../components/scope.tsx';
import { formatCount } from '../../format.ts';
import { fromLocalInput, toLocalInput } from '../../local-time.ts';
import { useWebhookChanged } from '../../use-webhook-changed.ts';
import { useSubmission } from '../../submission.ts';

const dayMs = 86_400_000;
const kinds: readonly { only: RecoveryKind | 'both'; label: string }[] = [
  { only: 'both', label: 'What failed and what was missed' },
  { only: 'failed', label: 'Only what failed' },
  { only: 'missed', label: 'Only what was missed: events without a delivery' },
];

type Props = { webhook: Webhook; onStarted: (recovery: Recovery) => void };

export function RecoverForm({ webhook: { webhook_id: id, active }, onStarted }: Props) {
  const scopeReason = useScopeReason('webhooks:write');
  const reason = scopeReason ?? (active ? undefined : 'Activate the webhook first.');
  const changed = useWebhookChanged();
  const [range, setRange] = useState(() => ({
    since: toLocalInput(new Date(Date.now() - dayMs).toISOString()),
    until: '',
    only: 'both' as RecoveryKind | 'both',
  }));
  const ask = (dryRun: boolean) => {
    const { since, until, only } = range;
    return api.recoverWebhook(id, {
      since: fromLocalInput(since) ?? '',
      ...(until === '' ? {} : { until: fromLocalInput(until) ?? '' }),
      ...(only === 'both' ? {} : { only }),
      dry_run: dryRun,
    });
  };
  const count = useSubmission({ mutationFn: () => ask(true) });
  const start = useSubmission({
    mutationFn: () => ask(false),
    onSuccess: (recovery) => {
      onStarted(recovery);
      return changed('The recovery has started');
    },
  });
  const change = (part: Partial<typeof range>) => {
    // Another range has another count.
    count.reset();
    setRange({ ...range, ...part });
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    count.mutate();
  };
  const error = start.error ?? count.error;
  const times = [
    { name: 'since', label: 'Accepted since', hint: undefined, error: fieldError(error, '/since') },
    { name: 'until', label: 'Until', hint: 'Empty: now.', error: fieldError(error, '/until') },
  ] as const;
  return (
    <form className="form" onSubmit={submit}>
      <p>Sends again, oldest first, what did not arrive: after an outage, or a wrong URL.</p>
      <div className="columns-small">
        {times.map(({ name, ...field }) => (
          <Field key={name} {...field}>
            {(control) => (
              <input
                {...control}
                type="datetime-local"
                required={name === 'since'}
                value={range[name]}
                onChange={({ target }) => change({ [name]: target.value })}
              />
            )}
          </Field>
        ))}
      </div>
      <Field label="What">
        {(control) => (
          <select
            {...control}
            value={range.only}
            onChange={({ target }) => change({ only: target.value as RecoveryKind | 'both' })}
          >
            {kinds.map(({ only, label }) => (
              <option key={only} value={only}>
                {label}
              </option>
            ))}
          </select>
        )}
      </Field>
      {times.every((each) => each.error === undefined) && <Problem error={error} />}
      <output>{count.data ? countWords(count.data.total) : '\u00a0'}</output>
      <div className="row">
        <button
          type="submit"
          className="button"
          disabled={count.isPending || reason !== undefined}
          title={reason}
        >
          Count first
        </button>
        <button
          type="button"
          className="button button-primary"
          disabled={!count.data || count.data.total === 0 || start.isPending || reason !== undefined}
          title={reason ?? (count.data ? undefined : 'Count first: nothing is sent by that.')}
          onClick={() => start.mutate()}
        >
          Send again
        </button>
      </div>
      {!active && <p className="hint">Activate the webhook first: nothing can be sent to it now.</p>}
    </form>
  );
}

function countWords(total: number): string {
  if (total === 0) return 'There is nothing to send again in that time.';
  if (total === 1) return 'One delivery would be sent again.';
  return `${formatCount(total)} deliveries would be sent again.`;
}
