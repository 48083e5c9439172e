import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { reservePort } from '../reserve-port.ts';
import { serviceKey } from './act-types.ts';
import { createApi, type Api } from './api-calls.ts';
import { newModel, type Disturbance, type Model } from './model.ts';
import type { OldRow } from './old-rows.ts';
import type { Role } from '../../src/app.ts';
import { createProcesses, type Processes, type Start } from './service-processes.ts';
import { startReceivers, type Receivers } from './receivers.ts';
import type { Scenario } from './scenario.ts';
import type { Servers } from './servers.ts';

/** One run: its processes, its receivers, its model, and the loops in the background. */
export type World = {
  startedAt: number;
  servers: Servers;
  model: Model;
  processes: Processes;
  receivers: Receivers;
  pool: pg.Pool;
  namespace: string;
  api: Api;
  /** With a service key. */
  serviceApi: Api;
  /** An API that cannot reach Temporal, so that it has only the archive; the first call starts it. */
  archiveApi(): Promise<Api>;
  /** Rows that the retention was made to remove, as they were. */
  oldRows: OldRow[];
  print: (line: string) => void;
  /** Goes on beside the steps that follow, until `joined`. */
  inBackground(kind: 'publishing' | 'fault', work: Promise<void>): void;
  joined(kind: 'publishing' | 'fault'): Promise<void>;
  /** Records how long it takes: some faults are allowed in that time. */
  disturb(kind: string, work: () => Promise<void>, isGraceful?: boolean): Promise<void>;
  stop(): Promise<void>;
};

/** Twice as long as a slow receiver takes: the machine may be busy. */
const attemptTimeoutMs = 2000;
const key = 'chaos_key_of_the_development_account';
const encryptionKey = randomBytes(32).toString('base64');

const settingsOf = ({ cap, perWorkflow }: Scenario) => ({
  FLTR_DEV_KEY: key,
  FLTR_ENCRYPTION_KEYS: `chaos:${encryptionKey}`,
  FLTR_RETRY_SCHEDULE_SECONDS: '1,2,3',
  FLTR_ATTEMPT_TIMEOUT_MS: String(attemptTimeoutMs),
  FLTR_DELIVERIES_PER_HOUR: String(cap),
  FLTR_DELIVERIES_PER_WORKFLOW: String(perWorkflow),
  FLTR_AUTO_DISABLE_MIN_DELIVERIES: '1000000',
  FLTR_API_REQUESTS_PER_MINUTE: '0',
  FLTR_RETENTION_DAYS: '1',
  LOG_LEVEL: 'warn',
});

export async function startWorld(
  servers: Servers,
  scenario: Scenario,
  folder: string,
  print: (line: string) => void,
): Promise<World> {
  const startedAt = Date.now();
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const model = newModel(scenario.cap);
  const [databaseUrl, namespace, receivers, ...ports] = await Promise.all([
    servers.newDatabase(),
    servers.newNamespace(),
    startReceivers(attemptTimeoutMs + 700),
    ...[...scenario.roles, 'archive'].map(reservePort),
  ]);
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 3, application_name: 'fltr-chaos' });
  pool.on('error', () => undefined);
  const settings = {
    ...settingsOf(scenario),
    DATABASE_URL: databaseUrl,
    TEMPORAL_ADDRESS: servers.temporalAddress,
    TEMPORAL_NAMESPACE: namespace,
  };
  const startOf = (role: Role, index: number, more: Record<string, string> = {}): Start => ({
    role,
    folder: join(folder, String(index)),
    port: ports[index] ?? 0,
    settings: { ...settings, ...more },
  });
  const processes = createProcesses(
    scenario.roles.map((role, index) => startOf(role, index)),
    model,
  );
  // Nothing listens at port 1.
  const archive = createProcesses(
    [startOf('api', scenario.roles.length, { TEMPORAL_ADDRESS: '127.0.0.1:1' })],
    model,
  );
  for (let index = 0; index < processes.count; index += 1) processes.start(index);
  await processes.untilReady();

  const background = { publishing: [] as Promise<void>[], fault: [] as Promise<void>[] };
  return {
    startedAt,
    servers,
    model,
    processes,
    receivers,
    pool,
    namespace,
    api: createApi(model, key, processes.apiUrls),
    serviceApi: createApi(model, serviceKey, processes.apiUrls),
    async archiveApi() {
      archive.start(0);
      await archive.untilListening();
      return createApi(model, key, archive.apiUrls);
    },
    oldRows: [],
    print,
    inBackground(kind, work) {
      const caught = work.catch((error: unknown) => {
        model.faults.push(`The runner failed: ${error instanceof Error ? error.stack : String(error)}`);
      });
      background[kind].push(caught);
    },
    async joined(kind) {
      await Promise.all(background[kind].splice(0));
    },
    async disturb(kind, work, isGraceful = false) {
      const disturbance: Disturbance = { kind, from: Date.now(), to: Infinity, isGraceful };
      model.disturbances.push(disturbance);
      try {
        await work();
      } finally {
        disturbance.to = Date.now();
      }
    },
    async stop() {
      await Promise.all([...background.publishing, ...background.fault]);
      await Promise.all([processes.killAll(), archive.killAll()]);
      await receivers.close();
      await Promise.race([pool.end(), delay(5000)]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
