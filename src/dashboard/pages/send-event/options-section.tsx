import { useState } from 'react';
import { useQuery } from '@tanstack/react-query';
import { FltrWebhooksError } from '../../../client/request.ts';
import { DescribedCheck } from '../../components/choices.tsx';
import { InputField } from '../../components/field.tsx';
import { fieldError } from '../../components/problem-notice.tsx';
import { TimeField } from '../../components/time-field.tsx';
import { webhooksQuery } from '../../queries.ts';
import { minutesFromNow } from '../../times.ts';

export type OptionsDraft = {
  webhookIds: readonly string[];
  deliverAt: string | undefined;
  expiresAt: string | undefined;
  orderKey: string;
};

export const noOptions: OptionsDraft = {
  webhookIds: [],
  deliverAt: undefined,
  expiresAt: undefined,
  orderKey: '',
};

const names = ['webhook_ids', 'deliver_at', 'expires_at', 'order_key'];

/** Whether the API refused one of the options, which is shown at its field. */
export const isOfOptions = (error: unknown): boolean =>
  error instanceof FltrWebhooksError &&
  error.errors.some(({ pointer }) => names.includes(pointer.split('/')[1] ?? ''));

/** The fields of an event; those that are empty are left out. */
export function optionsOf({ webhookIds, deliverAt, expiresAt, orderKey }: OptionsDraft) {
  return {
    ...(webhookIds.length === 0 ? {} : { webhook_ids: [...webhookIds] }),
    ...(deliverAt === undefined ? {} : { deliver_at: deliverAt }),
    ...(expiresAt === undefined ? {} : { expires_at: expiresAt }),
    ...(orderKey === '' ? {} : { order_key: orderKey }),
  };
}

type Props = { draft: OptionsDraft; onChange: (draft: OptionsDraft) => void; error: unknown };

/** How the event is delivered: closed at first, open as soon as one of the options is refused. */
export function OptionsSection({ draft, onChange, error }: Props) {
  const [isOpen, setOpen] = useState(false);
  const [shownError, setShownError] = useState<unknown>(null);
  if (error !== shownError) {
    setShownError(error);
    if (isOfOptions(error)) setOpen(true);
  }
  const { data: webhooks } = useQuery(webhooksQuery);
  const set = Object.keys(optionsOf(draft)).length;
  const change = (part: Partial<OptionsDraft>) => onChange({ ...draft, ...part });
  return (
    <details className="policy" open={isOpen} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        Options{' '}
        <span className="policy-summary">{set === 0 ? 'time, expiry, order, webhooks' : `${set} set`}</span>
      </summary>
      {isOpen && (
        <div className="policy-groups">
          <TimeField
            label="Deliver at"
            hint="The first attempt is made then, at most 30 days ahead. Empty: now."
            error={fieldError(error, '/deliver_at')}
            value={draft.deliverAt}
            min={minutesFromNow(0)}
            max={minutesFromNow(30 * 24 * 60 - 1)}
            onChange={(deliverAt) => change({ deliverAt })}
          />
          <TimeField
            label="Expires at"
            hint="A delivery that is not delivered by then fails, and is not sent again. Empty: never."
            error={fieldError(error, '/expires_at')}
            value={draft.expiresAt}
            min={minutesFromNow(1)}
            onChange={(expiresAt) => change({ expiresAt })}
          />
          <InputField
            label="Order key"
            hint="Webhooks with ordering get the events of one key one after the other."
            error={fieldError(error, '/order_key')}
            spellCheck={false}
            value={draft.orderKey}
            onChange={(orderKey) => change({ orderKey })}
          />
          {webhooks && webhooks.length > 0 && (
            <fieldset>
              <legend>Only for these webhooks</legend>
              <p className="hint">
                Whatever their event types and filters. None chosen: all that subscribe to the type.
              </p>
              {webhooks
                .filter(({ format }) => format !== 'email')
                .map(({ webhook_id: id, url }) => (
                  <DescribedCheck
                    key={id}
                    label={id}
                    hint={url}
                    isChecked={draft.webhookIds.includes(id)}
                    isDisabled={false}
                    onToggle={() =>
                      change({
                        webhookIds: draft.webhookIds.includes(id)
                          ? draft.webhookIds.filter((each) => each !== id)
                          : [...draft.webhookIds, id],
                      })
                    }
                  />
                ))}
            </fieldset>
          )}
        </div>
      )}
    </details>
  );
}
