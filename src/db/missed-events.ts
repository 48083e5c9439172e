import type { WebhookFilter } from '../contracts/filter.ts';
import { createPauses } from '../domain/pauses.ts';
import { createMatcher, valuesOfStored, type Matcher } from '../domain/webhook-match.ts';
import { storedBody } from './payloads.ts';
import type { Queryable } from './pool.ts';

type Missed = {
  accountId: string;
  webhookId: string;
  filters: readonly string[];
  filter: WebhookFilter | null;
};

/** Bodies that are read at once. */
const maxReadBytes = 4 * 1024 * 1024;

/**
 * Which of the events, in their order, meet a webhook's filter: the same judgement as at acceptance. Bodies are read only where
 * there is a filter, and only of the events for which `needsFilter`; the others are passed on as they are.
 */
export async function* judgeByFilter<Event extends { id: string; bytes: number | null }>(
  db: Queryable,
  { accountId, webhookId, filters, filter }: Missed,
  events: readonly Event[],
  needsFilter: (event: Event) => boolean,
): AsyncGenerator<{ event: Event; meetsFilter: boolean }> {
  const matcher = filter && createMatcher({ id: webhookId, events: filters, filter });
  for (let start = 0; start < events.length;) {
    const part: Event[] = [];
    let bytes = 0;
    for (
      let next = events[start];
      next && (part.length === 0 || bytes < maxReadBytes);
      next = events[start]
    ) {
      part.push(next);
      bytes += matcher && needsFilter(next) ? (next.bytes ?? 0) : 0;
      start += 1;
    }
    const judged = matcher ? part.filter(needsFilter) : [];
    const meeting = matcher && (await readMeeting(db, accountId, judged, matcher));
    for (const event of part)
      yield { event, meetsFilter: meeting === null || !needsFilter(event) || meeting.has(event.id) };
  }
}

async function readMeeting(
  db: Queryable,
  accountId: string,
  events: readonly { id: string }[],
  matcher: Matcher,
): Promise<Set<string>> {
  const meeting = new Set<string>();
  if (events.length === 0) return meeting;
  const { rows } = await db.query<{ id: string; type: string; labels: string[] | null; body: Buffer }>(
    `select id, type, labels, body from events where account_id = $1 and id = any($2) and body is not null`,
    [accountId, events.map(({ id }) => id)],
  );
  const rest = createPauses();
  for (const event of rows) {
    const body = storedBody(db, { accountId, id: event.id }, event.body);
    if (matcher({ type: event.type, values: valuesOfStored({ ...event, body }) }) === null)
      meeting.add(event.id);
    await rest();
  }
  return meeting;
}
