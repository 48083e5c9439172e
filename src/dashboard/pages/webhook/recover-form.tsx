import { useState } from 'react';
import type { Recovery, RecoveryKind } from '../../../contracts/recovery.ts';
import type { Webhook } from '../../../contracts/webhook.ts';
import { Button } from '../../components/button.tsx';
import { Form, SelectField } from '../../components/field.tsx';
import { fieldError, Problem } from '../../components/problem-notice.tsx';
import { useScopeReason } from '../../components/scope.tsx';
import { TimeField } from '../../components/time-field.tsx';
import { formatCount } from '../../format.ts';
import { webhookKeys } from '../../queries.ts';
import { api } from '../../session-api.ts';
import { useSubmission } from '../../submission.ts';
import { minutesFromNow } from '../../times.ts';

const dayMinutes = 24 * 60;
const kinds = [
  ['both', 'Failed deliveries and missed events'],
  ['failed', 'Failed deliveries only'],
  ['missed', 'Missed events only (no delivery exists)'],
] as const;

type Range = { since: string | undefined; until: string | undefined; only: RecoveryKind | 'both' };
type Props = { webhook: Webhook; onStarted: (recovery: Recovery) => void };

export function RecoverForm({ webhook: { webhook_id: id, active }, onStarted }: Props) {
  const scopeReason = useScopeReason('webhooks:write');
  const reason = scopeReason ?? (active ? undefined : 'Activate the webhook first.');
  const [range, setRange] = useState<Range>(() => ({
    since: minutesFromNow(-dayMinutes),
    until: undefined,
    only: 'both',
  }));
  const recover = (dryRun: boolean) => {
    const { since, until, only } = range;
    return api.recoverWebhook(id, {
      since: since ?? '',
      ...(until === undefined ? {} : { until }),
      ...(only === 'both' ? {} : { only }),
      dry_run: dryRun,
    });
  };
  const preview = useSubmission({ mutationFn: () => recover(true) });
  const start = useSubmission({
    mutationFn: () => recover(false),
    onSuccess: onStarted,
    done: 'The recovery has started',
    changes: webhookKeys,
  });
  const change = (part: Partial<Range>) => {
    preview.reset();
    setRange({ ...range, ...part });
  };
  const error = start.error ?? preview.error;
  const times = [
    { name: 'since', label: 'Accepted since', hint: undefined, error: fieldError(error, '/since') },
    { name: 'until', label: 'Until', hint: 'Leave empty for now.', error: fieldError(error, '/until') },
  ] as const;
  return (
    <Form onSubmit={() => preview.mutate()}>
      <p>Resends failed deliveries and missed events, oldest first, for example after an outage.</p>
      <div className="columns-small">
        {times.map(({ name, ...field }) => (
          <TimeField
            key={name}
            {...field}
            isRequired={name === 'since'}
            value={range[name]}
            onChange={(time) => change({ [name]: time })}
          />
        ))}
      </div>
      <SelectField
        label="Deliveries"
        value={range.only}
        options={kinds}
        onChange={(only) => change({ only })}
      />
      {times.every((each) => each.error === undefined) && <Problem error={error} />}
      <output>{preview.data ? previewText(preview.data.total) : '\u00a0'}</output>
      <div className="row">
        <Button type="submit" disabled={preview.isPending} disabledReason={reason}>
          Preview
        </Button>
        <Button
          look="primary"
          disabled={preview.data?.total === 0 || start.isPending}
          disabledReason={reason ?? (preview.data ? undefined : 'Preview first. A preview sends nothing.')}
          onClick={() => start.mutate()}
        >
          Resend
        </Button>
      </div>
      {!active && <p className="hint">Activate the webhook first.</p>}
    </Form>
  );
}

function previewText(total: number): string {
  if (total === 0) return 'There is nothing to resend in this period.';
  if (total === 1) return '1 delivery would be resent.';
  return `${formatCount(total)} deliveries would be resent.`;
}
