import { publishEventSchema, maxEventBytes } from '../contracts/event.ts';
import type { NewEvent } from '../db/insert-events.ts';
import type { OutboxRow } from '../db/outbox-rows.ts';
import type { Publisher } from '../db/publisher.ts';
import { createPauses } from '../domain/pauses.ts';
import { ApiError } from '../errors.ts';
import type { EventTypes } from '../event-types/catalogue.ts';
import { parseJson } from '../api/parse-json.ts';
import { fault, toProblem, validationError } from '../api/problem-details.ts';
import { validate } from '../api/request-body.ts';
import {
  acceptedOf,
  isNewEvent,
  publish,
  resultOf,
  toNewEvent,
  type Prepared,
} from '../api/routes/publish.ts';
import type { AcceptedEvent } from '../contracts/event.ts';

/** `kept`: it may succeed later. */
export type Verdict =
  | { row: OutboxRow; kind: 'accepted'; event: NewEvent; accepted: AcceptedEvent }
  | { row: OutboxRow; kind: 'refused'; problem: unknown }
  | { row: OutboxRow; kind: 'kept' };

type Deps = { eventTypes: EventTypes; publish: Publisher['publish'] };

/** Accepts rows as a call of the API would, each judged by itself. In order. @throws ApiError unavailable */
export async function judgeRows(
  { eventTypes, publish: accept }: Deps,
  rows: readonly OutboxRow[],
): Promise<Verdict[]> {
  const { prepared, acceptances } = await publish(
    { publisher: { publish: accept }, eventTypes },
    () => Promise.resolve(),
    async (types) => {
      const all: Prepared[] = [];
      const rest = createPauses();
      for (const row of rows) {
        all.push(resultOf(() => prepare(row, types)));
        await rest();
      }
      return all;
    },
  );
  let next = 0;
  return rows.map((row, index): Verdict => {
    const item = prepared[index];
    if (!item) throw new Error('A row of an outbox was not judged');
    if (!isNewEvent(item)) return refused(row, item);
    const acceptance = acceptances[next];
    next += 1;
    const accepted = resultOf(() => acceptedOf(null, acceptance));
    if (!(accepted instanceof ApiError)) return { row, kind: 'accepted', event: item, accepted };
    return accepted.code === 'unavailable' ? { row, kind: 'kept' } : refused(row, accepted);
  });
}

export function refused(row: OutboxRow, error: ApiError): Verdict {
  return { row, kind: 'refused', problem: toProblem(error) };
}

/** @throws ApiError */
function prepare(
  { request, publishedAt }: OutboxRow,
  types: Parameters<typeof toNewEvent>[1]['types'],
): NewEvent {
  if (request === null)
    throw new ApiError('body_too_large', `An event may have at most ${maxEventBytes} bytes.`);
  const bytes = Buffer.from(request);
  const event = validate(publishEventSchema, parseJson(bytes));
  const { account_id: accountId } = event;
  if (accountId === undefined)
    throw validationError([fault('/account_id', 'is missing: publish with account => …')]);
  const source = { key: null, accountId, traceparent: null, requestId: null, bytes, types };
  return toNewEvent(event, { ...source, at: publishedAt });
}
