import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { maxBatchBytes, maxBatchEvents, maxEventBytes } from '../contracts/event.ts';
import { acceptEvents } from '../db/accept-events.ts';
import {
  countOutboxRows,
  readOutbox,
  removeFromOutbox,
  type OutboxPage,
  type OutboxRow,
  type OutboxRows,
} from '../db/outbox-rows.ts';
import { isOutboxMissing } from '../db/outbox-schema.ts';
import { isDatabaseUnavailable } from '../db/pool.ts';
import type { Publisher } from '../db/publisher.ts';
import type { Deps } from '../deps.ts';
import { ApiError } from '../errors.ts';
import { every, type Loop } from '../every.ts';
import { createsAccounts, recordAccepted } from '../api/routes/publish.ts';
import type { OutboxReport, OutboxState } from '../observability/outbox-metrics.ts';
import { judgeRows, refused, type Verdict } from './judge-rows.ts';
import { openOutboxSession, type OutboxSession } from './session.ts';

/**
 * The relay moves the rows of an outbox into the log. Every process has one for each outbox, and the lock in the outbox's
 * database makes one of them active; the others try to get it once a second. A round of the active one:
 *
 *   read a page → accept its events → remove its rows, refused ones to `fltr_outbox.refused` → the next page
 *   nothing to read → producers notify it from now on → read once more → wait for a notification, or a second
 *
 * In the service's own database, a round is one transaction. In another one the events are committed first, and a row whose
 * removal is lost is read again: its event is known by its id by then.
 */

/** Between two reads without a notification, and two tries to become the active one. */
const pollMs = 1000;
/** After an error, at most: so that another process takes over within 5 s. */
const maxPauseMs = 2000;
/** While somebody is about to commit who does not notify. */
const producingMs = 50;
/** For the round that is under way when the relay is closed. */
const closeMs = 5000;
/** Between two reads of all rows, also of old transactions: a restored table may have any. */
const fullReadMs = 60_000;

const delayedSeconds = 60;
/** Between two counts of its rows, for the metrics. */
const countMs = 10_000;

export type RelayOptions = Pick<
  Deps,
  'config' | 'log' | 'metrics' | 'eventTypes' | 'changes' | 'wakeDispatcher' | 'pool'
> & {
  name: string;
  databaseUrl: string;
  isService: boolean;
  publisher: Publisher;
  isFull: () => boolean;
};

export type Relay = Pick<Loop, 'close'> & { report(): OutboxReport };

export function startRelay(options: RelayOptions): Relay {
  const { name, databaseUrl, isService, isFull, metrics, pool } = options;
  const log = options.log.child({ outbox: name });
  const health = createHealth(name, log);
  let session: OutboxSession | null = null;
  let reader = createReader();
  let isClosing = false;
  let countAt = 0;

  const connected = async (): Promise<OutboxSession> => {
    if (session?.isOpen()) return session;
    session = null;
    reader = createReader();
    const ofService = isService ? { payloads: pool.payloads } : null;
    return (session = await openOutboxSession({ databaseUrl, ofService, onNotified: () => loop.wake() }));
  };
  const relayPage = async (open: OutboxSession): Promise<{ page: OutboxPage; verdicts: Verdict[] }> => {
    const page = await reader.read(open);
    health.seen(page);
    if (page.rows.length === 0) return { page, verdicts: [] };
    await open.wakeUp();
    const verdicts = await reader.guard(page, () => judge(options, open, page.rows));
    await removeFromOutbox(open.db, verdicts.filter(({ kind }) => kind !== 'kept').map(toRemoved));
    return { page, verdicts };
  };
  const round = async (): Promise<boolean> => {
    const open = await connected();
    if (performance.now() >= countAt) {
      health.counted(await countOutboxRows(open.db));
      countAt = performance.now() + countMs;
    }
    if (isFull() || !(await open.activate())) {
      health.seen(await reader.look(open));
      return false;
    }
    const result = await open.transaction(() => relayPage(open));
    if (!result) return false;
    const { page, verdicts } = result;
    reader.passed(page, verdicts);
    if (isService) recordAll(options, verdicts);
    countRefused(verdicts, metrics, name, log);
    if (verdicts.some(({ kind }) => kind === 'kept')) return false;
    if (page.rows.length > 0) return true;
    const next = await open.fallAsleep();
    if (next === 'producing') await delay(producingMs);
    return next !== 'waits';
  };
  const loop = every(
    pollMs,
    async () => {
      if (isClosing) return 'done';
      return round();
    },
    (error) => {
      health.failed(error);
      countAt = 0;
      // A statement may be under way on it.
      if (isDatabaseUnavailable(error)) void session?.close();
    },
    { maxPauseMs },
  );
  return {
    report: health.report,
    async close() {
      isClosing = true;
      const ended = loop.close();
      await Promise.race([ended, delay(closeMs, undefined, { ref: false })]);
      // Ends a statement that is still under way.
      await session?.close();
      await ended;
    },
  };
}

/** Decides which rows are read next. */
function createReader() {
  let floor = '0';
  let fullReadAt = performance.now() + fullReadMs;
  /** Rows that are read one by one, after a page failed as a whole. */
  let single = 0;
  let failedRow: string | null = null;
  const readPage = ({ db }: OutboxSession, limits: { maxRows: number; maxRowBytes: number }) => {
    if (performance.now() > fullReadAt) {
      floor = '0';
      fullReadAt = performance.now() + fullReadMs;
    }
    return readOutbox(db, { ...limits, floor, maxBytes: maxBatchBytes });
  };
  return {
    read: (open: OutboxSession): Promise<OutboxPage> =>
      readPage(open, { maxRows: single > 0 ? 1 : maxBatchEvents, maxRowBytes: maxEventBytes }),
    /** The first row, for how long it has waited. */
    async look(open: OutboxSession): Promise<OutboxPage> {
      const page = await readPage(open, { maxRows: 1, maxRowBytes: 0 });
      floor = lower(page.oldestOpen, page.rows[0]?.transactionId);
      return page;
    },
    /** One row that cannot be written must not stop the others: they are tried one by one, and then it is refused. */
    async guard({ rows }: OutboxPage, run: () => Promise<Verdict[]>): Promise<Verdict[]> {
      const [first] = rows;
      if (first && rows.length === 1 && first.n === failedRow)
        return [
          refused(
            first,
            new ApiError('internal_error', 'This is an error of the service. Its log has the details.'),
          ),
        ];
      try {
        return await run();
      } catch (error) {
        if (!isPassing(error)) {
          if (rows.length > 1) single = rows.length;
          else failedRow = first?.n ?? null;
        }
        throw error;
      }
    },
    /** The page is done, and that is committed. */
    passed({ rows, oldestOpen }: OutboxPage, verdicts: readonly Verdict[]): void {
      single = Math.max(0, single - rows.length);
      const kept = verdicts.find(({ kind }) => kind === 'kept')?.row;
      floor = lower(oldestOpen, (kept ?? rows.at(-1))?.transactionId);
    },
  };
}

const lower = (one: string, other: string | undefined): string =>
  other !== undefined && BigInt(other) < BigInt(one) ? other : one;

/** Whether the same may succeed later. */
const isPassing = (error: unknown): boolean =>
  isDatabaseUnavailable(error) || (error instanceof ApiError && error.code === 'unavailable');

const toRemoved = (verdict: Verdict) => ({
  row: verdict.row,
  problem: verdict.kind === 'refused' ? verdict.problem : null,
});

/** The events of another database are committed, and recorded, when this returns. */
async function judge(
  options: RelayOptions,
  open: OutboxSession,
  rows: readonly OutboxRow[],
): Promise<Verdict[]> {
  const { eventTypes, publisher, config, isService } = options;
  if (isService) {
    const creates = { createsAccounts: createsAccounts({ config }) };
    return judgeRows({ eventTypes, publish: (events) => acceptEvents(open.db, events, creates) }, rows);
  }
  const verdicts = await judgeRows({ eventTypes, publish: publisher.publish }, rows);
  recordAll(options, verdicts);
  return verdicts;
}

/** Once they are committed. */
function recordAll(
  { metrics, log, changes, name, isService, wakeDispatcher }: RelayOptions,
  verdicts: readonly Verdict[],
): void {
  let count = 0;
  for (const verdict of verdicts) {
    if (verdict.kind !== 'accepted') continue;
    const { event, accepted } = verdict;
    count += 1;
    recordAccepted({ metrics, log }, null, event, accepted);
    if (isService && !accepted.duplicate) changes.mark(event.accountId, ['events', 'deliveries'], [event.id]);
  }
  if (count === 0) return;
  metrics.outbox.relayed(name, count);
  if (isService) wakeDispatcher();
}

function countRefused(
  verdicts: readonly Verdict[],
  metrics: Deps['metrics'],
  name: string,
  log: Logger,
): void {
  for (const verdict of verdicts) {
    if (verdict.kind !== 'refused') continue;
    metrics.outbox.refused(name);
    log.warn({ event: verdict.row.id, problem: verdict.problem }, 'an event of an outbox was refused');
  }
}

/** The state of the outbox. Each change is logged once. */
function createHealth(name: string, log: Logger) {
  let current: OutboxReport = { name, state: 'unavailable', lagSeconds: null, rows: null };
  const set = (state: OutboxState, lagSeconds: number | null, error?: unknown): void => {
    const before = current.state;
    current = { name, state, lagSeconds, rows: lagSeconds === null ? null : current.rows };
    if (state === before) return;
    if (state === 'ok') log.info('the outbox is relayed');
    else if (state === 'delayed')
      log.warn({ lag_seconds: Math.round(lagSeconds ?? 0) }, 'events wait in the outbox');
    else if (state === 'not_installed')
      log.warn('the outbox is not installed: run fltr-webhooks outbox install');
    else log.warn({ err: error }, 'the outbox cannot be relayed; tried again');
  };
  return {
    report: () => current,
    counted: (rows: OutboxRows): void => void (current = { ...current, rows }),
    seen: ({ lagSeconds }: OutboxPage): void =>
      set(lagSeconds >= delayedSeconds ? 'delayed' : 'ok', lagSeconds),
    failed(error: unknown): void {
      if (isPassing(error) && error instanceof ApiError)
        log.debug({ err: error }, 'a page of an outbox was not accepted; tried again');
      else set(isOutboxMissing(error) ? 'not_installed' : 'unavailable', null, error);
    },
  };
}
