import type { Registry } from 'prom-client';
import type { AcceptedEvent } from '../contracts/event.ts';
import { errorCatalogue, type ErrorCode } from '../errors.ts';
import { instrumentsOf } from './instruments.ts';

/** Why nothing was accepted: an error's code, or the limit that was reached where several share a code. */
export type RefusalReason = ErrorCode | 'backlog' | 'memory' | 'bodies';

export type PublishMetrics = ReturnType<typeof createPublishMetrics>;

export function createPublishMetrics(registry: Registry) {
  const { counter, counterBy } = instrumentsOf(registry);
  const events = counter(
    'fltr_events_accepted_total',
    'Events that producers published and that were committed.',
  );
  const duplicates = counter(
    'fltr_events_duplicate_total',
    'Events whose id was accepted before: nothing was sent again.',
  );
  const deliveries = counterBy(
    'fltr_deliveries_accepted_total',
    'Deliveries committed together with a published event, by their first status.',
    { status: ['pending', 'held'] },
  );
  return {
    /** An event with the response 202, duplicates included. */
    accepted(event: AcceptedEvent): void {
      if (event.duplicate) {
        duplicates();
        return;
      }
      events();
      for (const { status } of event.deliveries) deliveries(status === 'held' ? 'held' : 'pending');
    },
    /** A call that publishes, or one event of a batch. */
    refused: counterBy<RefusalReason>(
      'fltr_publishes_refused_total',
      'Calls that publish, or events of a batch, that were refused.',
      { reason: ['backlog', 'memory', 'bodies', ...(Object.keys(errorCatalogue) as ErrorCode[])] },
    ),
  };
}
