import { randomUUID } from 'node:crypto';
import { call, until } from './service.ts';

type Received = { status: number; code: string | null; retryAfter: string | null; eventId: string | null };

export type Publishers = {
  responses: Received[];
  /** Ids of the events that were accepted. */
  accepted(): string[];
  /** Waits until so many more have been accepted. */
  untilMore(count: number): Promise<void>;
  /** Lets the calls under way end. A call without a response fails here. */
  stop(): Promise<void>;
};

/** Producers that publish one event after the other: some with an `Idempotency-Key` each, some without. */
export function startPublishers(apiUrl: string, key: string, { keyed = 2, plain = 2 } = {}): Publishers {
  const responses: Received[] = [];
  const stopping = new AbortController();
  const publish = async (isKeyed: boolean): Promise<void> => {
    while (!stopping.signal.aborted) {
      const headers: Record<string, string> = isKeyed ? { 'idempotency-key': randomUUID() } : {};
      const event = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };
      const response = await call<{ id?: string; code?: string }>(
        apiUrl,
        key,
        'POST',
        '/v1/events',
        event,
        headers,
      );
      responses.push({
        status: response.status,
        code: response.body.code ?? null,
        retryAfter: response.headers.get('retry-after'),
        eventId: response.body.id ?? null,
      });
    }
  };
  const running = Promise.all(
    Array.from({ length: keyed + plain }, (_, index) => publish(index < keyed)),
  ).finally(() => {
    stopping.abort();
  });
  // Seen by `stop`.
  running.catch(() => undefined);
  const accepted = () => responses.flatMap(({ status, eventId }) => (status === 202 ? (eventId ?? []) : []));
  return {
    responses,
    accepted,
    async untilMore(count) {
      const before = accepted().length;
      await until(
        () => accepted().length - before,
        (more) => more >= count || stopping.signal.aborted,
      );
    },
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
