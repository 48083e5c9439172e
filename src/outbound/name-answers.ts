import type { LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { createLruMap } from '../domain/lru-map.ts';

export type NameAnswers = {
  /** The addresses of a host; rejected with the look-up's own error. */
  find: (host: string) => Promise<readonly LookupAddress[]>;
  /** Asks anew from now on; an answer that has come since then stays. */
  forget: (host: string, answer: readonly LookupAddress[]) => void;
};

type Options = {
  lookup: LookupFunction;
  /** Milliseconds. */
  keepMs: number;
};

const maxHosts = 1000;

/**
 * Looks names up, and keeps what it is answered for `keepMs`. Attempts to one host that run at the same time share one
 * look-up: getaddrinfo has four threads and cannot be called off, so a host whose name servers hang would hold up
 * everybody else's deliveries. Failures and empty answers are not kept: who mends a name is not made to wait.
 *
 * It judges nothing: an answer that was kept is judged again by whoever dials it.
 *
 * @example
 * const names = createNameAnswers({ lookup, keepMs: 5_000 });
 * await names.find('example.com'); // [{ address: '93.184.216.34', family: 4 }]
 */
export function createNameAnswers({ lookup, keepMs }: Options): NameAnswers {
  const underWay = new Map<string, Promise<readonly LookupAddress[]>>();
  const kept = createLruMap<string, { answer: readonly LookupAddress[]; until: number }>(maxHosts);

  const lookUp = (host: string): Promise<readonly LookupAddress[]> =>
    new Promise((resolve, reject) => {
      lookup(host, { all: true }, (error, found, family) => {
        if (error) reject(error);
        else resolve(typeof found === 'string' ? [{ address: found, family: family ?? isIP(found) }] : found);
      });
    });

  const start = async (host: string): Promise<readonly LookupAddress[]> => {
    try {
      const answer = await lookUp(host);
      if (answer.length > 0) kept.set(host, { answer, until: performance.now() + keepMs });
      return answer;
    } finally {
      underWay.delete(host);
    }
  };

  return {
    find: (host) => {
      const found = kept.get(host);
      if (found !== undefined && performance.now() < found.until) return Promise.resolve(found.answer);
      const running = underWay.get(host) ?? start(host);
      underWay.set(host, running);
      return running;
    },
    forget: (host, answer) => {
      if (kept.get(host)?.answer === answer) kept.delete(host);
    },
  };
}
