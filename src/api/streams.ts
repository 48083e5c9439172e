import type { Response } from 'express';
import { mergeChanges, type Change } from '../contracts/change.ts';
import type { Changes } from '../db/changes.ts';
import { ApiError, unavailable } from '../errors.ts';
import { sendHead } from './send-response.ts';

export const streamType = 'text/event-stream';
const maxStreams = 1000;
const maxStreamsOfAccount = 100;
/** Between two `changed` of an account; the first one is sent at once. Each is a write to every stream of the account. */
const pauseMs = 1000;
const pingMs = 15_000;
/** The caller is checked again with every second ping. */
const pingsPerCheck = 2;
/** A client that has read nothing for so long is gone. */
const maxBlockedMs = 30_000;
const retryMs = 2000;

type Limits = {
  maxStreams: number;
  maxStreamsOfAccount: number;
  pauseMs: number;
  pingMs: number;
  maxBlockedMs: number;
};
type Stream = { change(change: Change): void; end(): void };
type OfAccount = { streams: Set<Stream>; pending: Change | null; timer: NodeJS.Timeout | undefined };

export type Streams = ReturnType<typeof createStreams>;

/**
 * The open streams of this process, which say that something of their account has changed. As long as one is open, it misses
 * nothing: where changes may have been missed, all are ended, and the clients read again when they have another one.
 */
export function createStreams(changes: Changes, limits: Partial<Limits> = {}) {
  const most = { maxStreams, maxStreamsOfAccount, pauseMs, pingMs, maxBlockedMs, ...limits };
  const accounts = new Map<string, OfAccount>();
  let count = 0;
  let isClosed = false;

  const endAll = (): void => {
    for (const { streams } of accounts.values()) for (const stream of streams) stream.end();
  };
  const passOn = (ofAccount: OfAccount): void => {
    ofAccount.timer = undefined;
    const { pending } = ofAccount;
    if (!pending) return;
    ofAccount.pending = null;
    for (const stream of ofAccount.streams) stream.change(pending);
    ofAccount.timer = setTimeout(() => passOn(ofAccount), most.pauseMs);
  };
  changes.listen({
    onChange(accountId, change) {
      const ofAccount = accounts.get(accountId);
      if (!ofAccount) return;
      ofAccount.pending = mergeChanges(ofAccount.pending, change);
      if (!ofAccount.timer) passOn(ofAccount);
    },
    onLost: endAll,
  });

  function requireRoom(accountId: string): void {
    if (isClosed || !changes.isConnected())
      throw unavailable('Streams are not available right now. Poll, and try again.', 2);
    if ((accounts.get(accountId)?.streams.size ?? 0) >= most.maxStreamsOfAccount)
      throw new ApiError(
        'rate_limited',
        `The account has ${most.maxStreamsOfAccount} open streams. Close one, or poll.`,
        { retryAfterSeconds: 30 },
      );
    if (count >= most.maxStreams)
      throw unavailable('There are too many open streams. Poll, and try again later.', 30);
  }

  return {
    /**
     * Streams until the client goes away, or `confirm` throws: it checks the caller again.
     *
     * @throws ApiError rate_limited or unavailable
     */
    open(response: Response, accountId: string, confirm: () => Promise<void>): void {
      // Its client has gone away already, so that it would never close.
      if (response.destroyed) return;
      requireRoom(accountId);
      const ofAccount = accounts.get(accountId) ?? { streams: new Set(), pending: null, timer: undefined };
      accounts.set(accountId, ofAccount);
      count += 1;
      const stream = startStream(response, confirm, most);
      ofAccount.streams.add(stream);
      const ready = changes.watch(accountId);
      response.on('close', () => {
        count -= 1;
        ofAccount.streams.delete(stream);
        changes.unwatch(accountId);
        if (ofAccount.streams.size > 0) return;
        clearTimeout(ofAccount.timer);
        accounts.delete(accountId);
      });
      void ready.then(stream.ready);
    },
    count: () => count,
    /** Ends all streams, and opens no other one. */
    close(): void {
      isClosed = true;
      endAll();
    },
  };
}

/** One response. While its client does not read, changes are merged, so that little waits in memory. */
function startStream(
  response: Response,
  confirm: () => Promise<void>,
  { pingMs: everyMs, maxBlockedMs: mostMs }: Limits,
) {
  let pending: Change | null = null;
  let blockedSince: number | null = null;
  let pings = 0;
  const write = (text: string): void => {
    if (!response.write(text)) blockedSince ??= performance.now();
  };
  const sendPending = (): void => {
    if (!pending || blockedSince !== null || response.destroyed) return;
    write(`event: changed\ndata: ${JSON.stringify(pending)}\n\n`);
    pending = null;
  };
  const end = (): void => void response.end();
  const check = async (): Promise<void> => {
    try {
      await confirm();
    } catch (error) {
      // While the database does not respond, it is unknown whether the caller may still read.
      if (error instanceof ApiError && error.status < 500) end();
    }
  };
  const timer = setInterval(() => {
    if (blockedSince !== null) {
      if (performance.now() - blockedSince > mostMs) response.destroy();
      return;
    }
    write('event: ping\ndata: {}\n\n');
    pings += 1;
    if (pings % pingsPerCheck === 0) void check();
  }, everyMs);
  response.on('drain', () => {
    blockedSince = null;
    sendPending();
  });
  response.on('close', () => clearInterval(timer));
  response.on('error', () => undefined);
  response.locals['streamsSince'] = performance.now();
  sendHead(response, streamType, { 'X-Accel-Buffering': 'no' });
  write(`retry: ${retryMs}\n\n`);
  return {
    ready(): void {
      if (!response.writableEnded && !response.destroyed) write('event: ready\ndata: {}\n\n');
    },
    change(change: Change): void {
      if (response.writableEnded) return;
      pending = mergeChanges(pending, change);
      sendPending();
    },
    end,
  };
}
