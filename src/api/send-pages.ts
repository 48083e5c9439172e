import type { Response } from 'express';
import type { Logger } from 'pino';
import { ApiError } from '../errors.ts';
import { sendHead } from './send-response.ts';

export const linesType = 'application/x-ndjson';
/** Exports of one account at once, in a process. */
const maxExports = 4;

/**
 * Sends whole lists, one line of JSON per row, as fast as the client reads: no more than one page is in memory. An error after
 * the first page ends the connection before the end of the response, so that no client takes it for complete. When the client
 * goes away, no further page is read.
 */
export function createPageSender(log: Logger) {
  const running = new Map<string, number>();
  return async (
    response: Response,
    accountId: string,
    pages: AsyncIterable<readonly object[]>,
  ): Promise<void> => {
    const count = running.get(accountId) ?? 0;
    if (count >= maxExports)
      throw new ApiError('rate_limited', `${maxExports} exports of the account are running. Wait for one.`, {
        retryAfterSeconds: 10,
      });
    running.set(accountId, count + 1);
    try {
      await writePages(response, pages);
    } catch (error) {
      if (!response.headersSent) throw error;
      log.error({ err: error, request_id: String(response.locals['requestId']) }, 'an export broke off');
      response.destroy();
    } finally {
      const left = (running.get(accountId) ?? 1) - 1;
      if (left === 0) running.delete(accountId);
      else running.set(accountId, left);
    }
  };
}

async function writePages(response: Response, pages: AsyncIterable<readonly object[]>): Promise<void> {
  for await (const page of pages) {
    if (!response.headersSent) sendHead(response, linesType);
    if (response.destroyed) return;
    const text = page.map((row) => `${JSON.stringify(row)}\n`).join('');
    if (text !== '' && !response.write(text)) await drained(response);
  }
  if (!response.headersSent) sendHead(response, linesType);
  response.end();
}

/** Until the client has read, or is gone. */
function drained(response: Response): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
    if (response.destroyed) done();
  });
}
