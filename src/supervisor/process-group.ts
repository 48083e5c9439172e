import cluster from 'node:cluster';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { createMetricsSum } from '../observability/metrics-sum.ts';
import type { Calls } from './channel.ts';
import { launchMember, type Member } from './member.ts';
import { restartPauseMs, stableAfterMs } from './process-count.ts';
import type { StartInput } from './service-process.ts';

type Options = {
  count: number;
  start: Omit<StartInput, 'number'>;
  /** The calls that the processes may make to the supervisor. */
  calls: Calls;
  /** `FLTR_DRAIN_SECONDS`, in milliseconds. */
  drainMs: number;
  log: Logger;
  /** The service cannot continue. */
  onFatal: (error: Error) => void;
};

export type ProcessGroup = Awaited<ReturnType<typeof startProcessGroup>>;

/** Requests and attempts under way. */
const stopWithinMs = 60_000;

/**
 * Starts so many processes of the service, and keeps them running. They share one listening socket, which this process
 * holds: it passes each new connection to the next process that is free (round robin). So a busy process gets fewer, nothing
 * is lost while one is replaced, and a request on an open connection costs nothing here.
 *
 * @throws the first fault of a process that cannot start
 */
export async function startProcessGroup({ count, start, calls, drainMs, log, onFatal }: Options) {
  cluster.schedulingPolicy = cluster.SCHED_RR;
  cluster.setupPrimary({ serialization: 'advanced' });
  const members = new Set<Member>();
  const metrics = createMetricsSum();
  const state = { isStopping: false, isRestarting: false, isRestartWanted: false };
  /** Whose successor is being started. */
  let replaced: Member | null = null;

  const serving = (): Member[] => [...members].filter(({ isServing, isEnding }) => isServing && !isEnding);
  const keepMetrics =
    ({ pid }: Member) =>
    (values: Parameters<typeof metrics.set>[1]) =>
      metrics.set(pid, values);
  const readMetrics = async (): Promise<string> => {
    await Promise.all(
      serving().map(async (member) => {
        // Of a process that hangs, the last metrics count.
        const values = await member.readMetrics().catch(() => null);
        if (values && members.has(member)) keepMetrics(member)(values);
      }),
    );
    return metrics.read();
  };
  const fail = (message: string): void => onFatal(new Error(message));
  /** `endsInARow`: how often a process in this place has ended without a stable run. */
  const launch = (endsInARow: number): Member => {
    const taken = new Set([...members].map(({ number }) => number));
    const number = Array.from({ length: taken.size + 1 }, (_, index) => index + 1).find((n) => !taken.has(n));
    const member = launchMember({ number: number ?? 0, calls: { ...calls, readMetrics, fail }, log });
    members.add(member);
    member.onExit((how) => {
      members.delete(member);
      metrics.end(member.pid);
      const { isServing, isEnding, number: process, pid: child, startedAt } = member;
      if (state.isStopping || isEnding || !isServing) return;
      log.error({ process, child, how }, 'a process of the service ended by itself');
      if (member === replaced) return;
      void revive(Date.now() - startedAt >= stableAfterMs ? 0 : endsInARow + 1);
    });
    return member;
  };
  /** Starts a process in place of one that ended by itself, until one is ready. */
  const revive = async (endsInARow: number): Promise<void> => {
    for (let ends = endsInARow; ; ends += 1) {
      await delay(restartPauseMs(ends));
      if (state.isStopping) return;
      const member = launch(ends);
      try {
        await member.start(start);
        log.info({ process: member.number, child: member.pid }, 'a process of the service was started again');
        return;
      } catch (error) {
        member.kill();
        if (state.isStopping) return;
        if (serving().length === 0) return onFatal(error as Error);
        log.error({ err: error }, 'a process of the service could not be started; it is tried again');
      }
    }
  };
  /** Puts a new process in the place of each one, one after the other. */
  const replaceEach = async (): Promise<void> => {
    for (const old of serving()) {
      // One that has ended meanwhile has a successor already.
      if (state.isStopping || !serving().includes(old)) continue;
      replaced = old;
      const member = launch(0);
      try {
        await member.start(start);
      } catch (error) {
        member.kill();
        log.error(
          { err: error },
          'the restart stopped: a new process did not become ready; the others continue',
        );
        // The old one may have ended meanwhile.
        if (!members.has(old)) void revive(1);
        return;
      } finally {
        replaced = null;
      }
      if (!state.isStopping && members.has(old)) await old.retire(keepMetrics(old));
    }
    if (!state.isStopping) log.info('every process of the service was replaced');
  };
  const kill = (): void => {
    state.isStopping = true;
    for (const member of members) member.kill();
  };

  let apiUrl: string | null = null;
  try {
    [apiUrl = null] = await Promise.all(Array.from({ length: count }, () => launch(0).start(start)));
  } catch (error) {
    kill();
    throw error;
  }
  return {
    apiUrl,
    /** Replaces the processes one after the other. A call during a restart replaces them once more afterwards. */
    async restart(): Promise<void> {
      state.isRestartWanted = true;
      if (state.isRestarting) return;
      state.isRestarting = true;
      while (state.isRestartWanted && !state.isStopping) {
        state.isRestartWanted = false;
        log.info('every process of the service is being replaced');
        await replaceEach();
      }
      state.isRestarting = false;
    },
    async stop(): Promise<void> {
      state.isStopping = true;
      const stopOne = (member: Member) => member.stop(drainMs + stopWithinMs, keepMetrics(member));
      await Promise.all([...members].map(stopOne));
    },
    kill,
  };
}
