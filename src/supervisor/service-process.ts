import { LRUCache } from 'lru-cache';
import { startApp, type ServiceApp, type Supervisor } from '../app.ts';
import type { CallWindow, CountedCall } from '../call-counter.ts';
import { readConfig, type Config } from '../config.ts';
import { StartError } from '../errors.ts';
import { createLog } from '../observability/log.ts';
import type { MetricValues } from '../observability/metrics-sum.ts';
import { portOf } from '../require-ports.ts';
import { openChannel } from './channel.ts';
import { pollReady } from './poll-ready.ts';
import type { SupervisorCalls } from './supervisor.ts';

/** The input of a service process, beside the settings, which it reads itself. */
export type StartInput = {
  /** From 1 on; no two that run have the same. */
  number: number;
  port: number;
  databaseUrl: string;
  temporalAddress: string;
  temporalUiUrl: string | null;
  hasTemporal: boolean;
};

export type ProcessCalls = {
  /** Resolves when it is ready, with the address of the API. */
  start(input: StartInput): Promise<string | null>;
  readMetrics(): Promise<MetricValues>;
  /** Both resolve with the last metrics when everything has ended. The process then ends with the channel. */
  stop(): Promise<MetricValues>;
  retire(): Promise<MetricValues>;
};

const callMs = 5000;
/** Clients over their limit that a process remembers. */
const maxRefused = 10_000;

/** One of several processes of the service: its supervisor controls it, and it never outlives the supervisor. */
export function runServiceProcess(): void {
  // Ctrl-C in a terminal, and some service managers, signal every process: it is the supervisor that stops this one.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
  process.on('disconnect', () => process.exit());
  let app: ServiceApp | null = null;
  const calls: ProcessCalls = {
    async start(input) {
      app = await start(input, supervisor(input), (error) => void fail(error.message));
      return app.apiUrl;
    },
    readMetrics: async () => (await app?.readMetrics()) ?? [],
    async stop() {
      await app?.stop();
      return calls.readMetrics();
    },
    async retire() {
      await app?.retire();
      return calls.readMetrics();
    },
  };
  const channel = openChannel<SupervisorCalls>(
    {
      send: (message, sent) => void process.send?.(message, undefined, undefined, sent),
      onMessage: (listener) => process.on('message', listener),
      onEnd: (listener) => process.on('disconnect', listener),
    },
    calls,
  );
  const fail = async (message: string): Promise<void> => {
    // Before it is ready, the start itself fails. Without a supervisor, it ends anyway.
    if (app) await channel.call('fail', message, callMs).catch(() => undefined);
  };
  const supervisor = ({ hasTemporal }: StartInput): Supervisor => ({
    hasTemporal,
    countCall: createCountCall((call) => channel.call('countCall', call, callMs)),
    readMetrics: () => channel.call('readMetrics', undefined, callMs),
  });
}

async function start(
  input: StartInput,
  supervisor: Supervisor,
  onFatal: (error: Error) => void,
): Promise<ServiceApp> {
  const settings = readConfig();
  const metricsAt = settings.FLTR_TEMPORAL_METRICS_ADDRESS;
  const config: Config = {
    ...settings,
    PORT: input.port,
    DATABASE_URL: input.databaseUrl,
    TEMPORAL_ADDRESS: input.temporalAddress,
    TEMPORAL_UI_URL: input.temporalUiUrl ?? undefined,
    FLTR_TEMPORAL_METRICS_ADDRESS: metricsAt && portOf(metricsAt, input.number),
  };
  const log = createLog(config.LOG_LEVEL);
  const report = () => undefined;
  const app = await startApp({ config, role: 'up', log, report, onFatal, supervisor });
  if (await pollReady(app.isReady)) return app;
  await app.stop();
  throw new StartError('PostgreSQL does not accept events: it did not respond, or is read-only.');
}

/** The supervisor counts. A client that is over its limit is refused here until its window ends. */
function createCountCall(count: (call: CountedCall) => Promise<CallWindow>) {
  const refused = new LRUCache<string, CallWindow>({ max: maxRefused });
  return async (call: CountedCall): Promise<CallWindow> => {
    const name = `${call.limit} ${call.client}`;
    const known = refused.get(name);
    if (known && known.endsAt > Date.now()) return known;
    const window = await count(call);
    if (window.calls > call.perMinute) refused.set(name, window);
    return window;
  };
}
