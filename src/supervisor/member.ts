import cluster from 'node:cluster';
import { once } from 'node:events';
import type { Logger } from 'pino';
import type { MetricValues } from '../observability/metrics-sum.ts';
import { openChannel, type Calls } from './channel.ts';
import { readyWithinMs } from './poll-ready.ts';
import type { ProcessCalls, StartInput } from './service-process.ts';
import { closeUnaccepted } from './unaccepted-connections.ts';

/** A connection that stays idle, a request, then attempts under way. */
const retireWithinMs = 150_000;
const exitWithinMs = 5000;
const metricsWithinMs = 1000;

/** One process of the service, as its supervisor has it. */
export type Member = ReturnType<typeof launchMember>;

type Options = {
  number: number;
  /** The calls that the process may make to the supervisor. */
  calls: Calls;
  log: Logger;
};

/** Starts a process of the service, which waits for `start`. */
export function launchMember({ number, calls, log }: Options) {
  const worker = cluster.fork();
  closeUnaccepted(worker);
  const { pid = 0 } = worker.process;
  const channel = openChannel<ProcessCalls>(
    {
      send: (message, sent) => void (worker.isConnected() && worker.send(message, undefined, sent)),
      onMessage: (listener) => worker.on('message', listener),
      onEnd: (listener) => worker.on('exit', listener),
    },
    calls,
  );
  const exited = once(worker, 'exit');
  // Such as a message to a process that has just died.
  worker.on('error', (error) => log.debug({ err: error }, 'a process could not be reached'));
  const member = {
    number,
    pid,
    startedAt: Date.now(),
    isServing: false,
    /** Its end is wanted: it has no successor, or one already. */
    isEnding: false,
    /** `how`: the signal, or the code. */
    onExit: (listener: (how: string) => void) =>
      void worker.on('exit', (code, signal) => listener(signal ?? `code ${code}`)),
    /** Resolves when it is ready, with the API's address. @throws StartError */
    async start(input: Omit<StartInput, 'number'>): Promise<string | null> {
      const apiUrl = await channel.call('start', { ...input, number }, readyWithinMs);
      member.isServing = true;
      log.debug({ process: number, child: pid }, 'a process of the service is ready');
      return apiUrl;
    },
    readMetrics: (): Promise<MetricValues> => channel.call('readMetrics', undefined, metricsWithinMs),
    stop: (limitMs: number, keep: (metrics: MetricValues) => void) => end('stop', limitMs, keep),
    /** Lets it stop while others serve. */
    retire: (keep: (metrics: MetricValues) => void) => end('retire', retireWithinMs, keep),
    kill(): void {
      member.isEnding = true;
      worker.process.kill('SIGKILL');
    },
  };
  /** `keep` gets its last metrics. The process exits when the channel ends, else it is killed. */
  const end = async (
    how: 'stop' | 'retire',
    limitMs: number,
    keep: (metrics: MetricValues) => void,
  ): Promise<void> => {
    member.isEnding = true;
    try {
      keep(await channel.call(how, undefined, limitMs));
    } catch (error) {
      log.warn({ err: error, process: number, child: pid }, 'a process of the service did not stop in order');
    }
    if (worker.isConnected()) worker.process.disconnect();
    const timer = setTimeout(member.kill, exitWithinMs);
    await exited;
    clearTimeout(timer);
  };
  return member;
}
