import type { Registry } from 'prom-client';
import type { AcceptedEvent } from '../contracts/event.ts';
import { errorCatalogue, type ErrorCode } from '../errors.ts';
import { counter, counterBy } from './instruments.ts';

/** Why nothing was accepted: an error's code, or the limit that was reached where several share a code. */
export type RefusalReason = ErrorCode | 'backlog' | 'memory' | 'bodies';

export type PublishMetrics = {
  /** An event with the response 202, duplicates included. */
  accepted(event: AcceptedEvent): void;
  /** A call that publishes, or one event of a batch. */
  refused(reason: RefusalReason): void;
};

export function createPublishMetrics(registry: Registry): PublishMetrics {
  const events = counter({
    registry,
    name: 'fltr_events_accepted_total',
    help: 'Events that producers published and that were committed.',
  });
  const duplicates = counter({
    registry,
    name: 'fltr_events_duplicate_total',
    help: 'Events whose id was accepted before: nothing was sent again.',
  });
  const deliveries = counterBy({
    registry,
    name: 'fltr_deliveries_accepted_total',
    help: 'Deliveries committed together with a published event, by their first status.',
    label: 'status',
    values: ['pending', 'held'],
  });
  const refused = counterBy<RefusalReason>({
    registry,
    name: 'fltr_publishes_refused_total',
    help: 'Calls that publish, or events of a batch, that were refused.',
    label: 'reason',
    values: ['backlog', 'memory', 'bodies', ...(Object.keys(errorCatalogue) as ErrorCode[])],
  });
  return {
    accepted(event) {
      if (event.duplicate) {
        duplicates();
        return;
      }
      events();
      for (const { status } of event.deliveries) deliveries(status === 'held' ? 'held' : 'pending');
    },
    refused,
  };
}
