import type { AcceptedEvent } from '../contracts/event.ts';
import type { EventValues } from '../domain/filter.ts';
import { newId, timeOfId } from '../domain/ids.ts';
import { createPauses } from '../domain/pauses.ts';
import { valuesOfStored } from '../domain/webhook-match.ts';
import { behindEach, lineKey } from '../domain/delivery-line.ts';
import type { DeliveryOptions, DeliveryToInsert, NewEvent } from './insert-events.ts';
import type { Subscriber, Subscribers } from './subscribers.ts';

type Delivery = AcceptedEvent['deliveries'][number];
type Candidate = { event: NewEvent; key: string };
type Row = DeliveryToInsert & { key: string };

/** One delivery for each webhook that gets an event, as a row and as it is shown. Candidates are in order of acceptance. */
export async function deliveriesOf(
  candidates: readonly Candidate[],
  subscribers: ReadonlyMap<string, Subscribers>,
) {
  const rows: Row[] = [];
  const shown = new Map<string, Delivery[]>();
  // Filters of many webhooks and large data take long.
  const rest = createPauses();
  for (const { event, key } of candidates) {
    const deliveries: Delivery[] = [];
    const ofAccount = subscribers.get(event.accountId);
    const { webhooks, hasJudged } = ofAccount
      ? webhooksOf(event, ofAccount)
      : { webhooks: [], hasJudged: false };
    for (const webhook of webhooks) {
      const id = newId('dlv');
      const status = webhook.active ? 'pending' : 'held';
      rows.push({
        id,
        accountId: event.accountId,
        webhookId: webhook.id,
        eventId: event.id,
        eventType: event.type,
        attemptCount: 0,
        retriesUsed: 0,
        nextAttemptAt: null,
        waitReason: null,
        runId: null,
        bodyBytes: event.body.length,
        schedule: webhook.schedule,
        mayShare: webhook.mayShare,
        status,
        createdAtMs: timeOfId(id).getTime(),
        ownerId: null,
        isQueued: false,
        options: optionsOf(event, webhook),
        key,
      });
      deliveries.push({ id, webhook_id: webhook.id, status });
    }
    shown.set(key, deliveries);
    if (hasJudged) await rest();
  }
  countBehindEach(rows);
  return { rows, shown };
}

/** `hasJudged`: whether a filter was judged, for which the data is parsed. */
function webhooksOf(
  event: NewEvent,
  ofAccount: Subscribers,
): { webhooks: readonly Subscriber[]; hasJudged: boolean } {
  const named = event.options?.webhookIds;
  if (named) return { webhooks: ofAccount.named(named), hasJudged: false };
  let values: EventValues | null = null;
  const webhooks = ofAccount.of(event.type).filter((webhook) => {
    if (webhook.id === event.exceptWebhookId) return false;
    return !webhook.filter?.((values ??= valuesOfStored(event)));
  });
  return { webhooks, hasJudged: values !== null };
}

/** Of an event's delivery to a webhook; undefined: it is like any other. One with a time joins its line when that has come. */
function optionsOf({ options }: NewEvent, { ordering }: Subscriber): DeliveryOptions | undefined {
  const { deliverAt, expiresAt } = options ?? {};
  const orderKey = lineKey(ordering, options?.orderKey);
  if (!deliverAt && !expiresAt && orderKey === null) return undefined;
  return {
    startAfter: deliverAt ? 'deliver_at' : orderKey === null ? null : 'line',
    deliverAt: deliverAt ?? null,
    expiresAt: expiresAt ?? null,
    orderKey,
    behindIt: deliverAt || orderKey === null ? null : 0,
  };
}

/** Counts, for each delivery that joins a line, those of the same line behind it. They are in order of acceptance. */
function countBehindEach(rows: readonly Row[]): void {
  const joining = rows.flatMap(({ webhookId, options }) =>
    options?.startAfter === 'line' ? [{ line: `${webhookId} ${options.orderKey}`, options }] : [],
  );
  const counts = behindEach(joining.map(({ line }) => line));
  for (const [at, { options }] of joining.entries()) options.behindIt = counts[at] ?? 0;
}
