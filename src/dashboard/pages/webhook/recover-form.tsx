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
  { only: 'both', label: 'Failed deliveries and missed events' },
  { only: 'failed', label: 'Failed deliveries only' },
  { only: 'missed', label: 'Missed events only (no delivery exists)' },
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
  const recover = (dryRun: boolean) => {
    const { since, until, only } = range;
    return api.recoverWebhook(id, {
      since: fromLocalInput(since) ?? '',
      ...(until === '' ? {} : { until: fromLocalInput(until) ?? '' }),
      ...(only === 'both' ? {} : { only }),
      dry_run: dryRun,
    });
  };
  const preview = useSubmission({ mutationFn: () => recover(true) });
  const start = useSubmission({
    mutationFn: () => recover(false),
    onSuccess: (recovery) => {
      onStarted(recovery);
      return changed('The recovery has started');
    },
  });
  const change = (part: Partial<typeof range>) => {
    preview.reset();
    setRange({ ...range, ...part });
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    preview.mutate();
  };
  const error = start.error ?? preview.error;
  const times = [
    { name: 'since', label: 'Accepted since', hint: undefined, error: fieldError(error, '/since') },
    { name: 'until', label: 'Until', hint: 'Leave empty for now.', error: fieldError(error, '/until') },
  ] as const;
  return (
    <form className="form" onSubmit={submit}>
      <p>Resends what was not delivered, oldest first, for example after an outage.</p>
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
      <Field label="Deliveries">
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
      <output>{preview.data ? previewText(preview.data.total) : '\u00a0'}</output>
      <div className="row">
        <button
          type="submit"
          className="button"
          disabled={preview.isPending || reason !== undefined}
          title={reason}
        >
          Preview
        </button>
        <button
          type="button"
          className="button button-primary"
          disabled={!preview.data || preview.data.total === 0 || start.isPending || reason !== undefined}
          title={reason ?? (preview.data ? undefined : 'Preview first. A preview sends nothing.')}
          onClick={() => start.mutate()}
        >
          Resend
        </button>
      </div>
      {!active && <p className="hint">Activate the webhook first.</p>}
    </form>
  );
}

function previewText(total: number): string {
  if (total === 0) return 'There is nothing to resend in this period.';
  if (total === 1) return '1 delivery would be resent.';
  return `${formatCount(total)} deliveries would be resent.`;
}
