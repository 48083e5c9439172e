import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { inject } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import { startApp, type Role } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { ensureAccount } from '../../src/db/accounts.ts';
import { insertApiKey } from '../../src/db/api-keys-table.ts';
import type { Pool } from '../../src/db/pool.ts';
import { newId } from '../../src/domain/ids.ts';
import { createLog } from '../../src/observability/log.ts';
import {
  accountScopes,
  digestOfKey,
  hintOfKey,
  newApiKey,
  scopes,
  type Scope,
} from '../../src/security/api-keys.ts';
import type { Temporal } from '../../src/temporal/client.ts';
import { createMigratedDatabase } from './database.ts';
import { createNamespace } from './namespace.ts';

export type ApiResponse<T = Record<string, unknown>> = {
  status: number;
  body: T;
  headers: Headers;
  text: string;
};

/** Calls the API as a user's HTTP client does. */
export async function call<T = Record<string, never>>(
  apiUrl: string,
  key: string | null,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<ApiResponse<T>> {
  const response = await fetch(apiUrl + path, {
    method,
    headers: { ...(key === null ? {} : { authorization: `Bearer ${key}` }), ...headers },
    ...(body === undefined
      ? {}
      : { body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body) }),
    signal: AbortSignal.timeout(120_000),
  });
  const text = await response.text();
  return {
    status: response.status,
    body: (text === '' ? {} : JSON.parse(text)) as T,
    headers: response.headers,
    text,
  };
}

export type Service = {
  apiUrl: string;
  databaseUrl: string;
  dataDir: string;
  pool: Pool;
  temporal: Temporal;
  /** The environment that the service was started with: for processes beside it. */
  env: Record<string, string>;
  key: string;
  accountId: string;
  /** The one-time sign-in link of the development account; null where no API runs. */
  signInUrl: string | null;
  /** `accountId` null: a service key. Without `scopes`: all that such a key may have. */
  newKey(options: { accountId: string | null; scopes?: readonly Scope[] }): Promise<string>;
  newAccount(): Promise<{ accountId: string; key: string }>;
  call<T = Record<string, never>>(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<ApiResponse<T>>;
  /** A webhook to that URL for all types. */
  newWebhook(url: string, more?: Record<string, unknown>): Promise<{ webhook_id: string; secret: string }>;
  publish(more?: Record<string, unknown>): Promise<{
    id: string;
    duplicate: boolean;
    deliveries: { id: string; webhook_id: string; status: string }[];
  }>;
  stopApp(): Promise<void>;
  stop(): Promise<void>;
};

/** The project `ungrouped` sets it. */
const { FLTR_DELIVERIES_PER_WORKFLOW: perWorkflow } = process.env;
const fromOutside = perWorkflow === undefined ? {} : { FLTR_DELIVERIES_PER_WORKFLOW: perWorkflow };

/** The whole service in this process, on its own database, namespace, port and data folder. `role` null: nothing runs yet. */
export async function startService(
  settings: Record<string, string> = {},
  role: Role | null = 'up',
): Promise<Service> {
  const [database, temporal, port] = await Promise.all([
    createMigratedDatabase(),
    createNamespace(),
    reservePort(),
  ]);
  const dataDir = mkdtempSync(join(tmpdir(), 'fltr-service-'));
  const env: Record<string, string> = {
    PORT: String(port),
    DATABASE_URL: database.url,
    TEMPORAL_ADDRESS: inject('temporalAddress'),
    TEMPORAL_NAMESPACE: temporal.namespace,
    TEMPORAL_UI_URL: 'http://127.0.0.1:8233',
    FLTR_DATA_DIR: dataDir,
    LOG_LEVEL: 'silent',
    // As in production: they cost a fifth of a worker's CPU.
    FLTR_WORKFLOW_STACK_TRACES: 'false',
    // Tests poll.
    FLTR_API_REQUESTS_PER_MINUTE: '0',
    ...fromOutside,
    ...settings,
  };
  const config = readConfig(env);
  const onFatal = (error: Error) => {
    throw error;
  };
  const app =
    role &&
    (await startApp({ config, role, log: createLog(config.LOG_LEVEL), report: () => undefined, onFatal }));
  const { pool } = database;
  const apiUrl = app?.apiUrl ?? `http://127.0.0.1:${port}`;

  const newKey: Service['newKey'] = async ({
    accountId,
    scopes: chosen = accountId === null ? scopes : accountScopes,
  }) => {
    const key = newApiKey();
    await insertApiKey(pool, {
      accountId,
      name: 'test',
      hint: hintOfKey(key),
      digest: digestOfKey(key),
      scopes: chosen,
    });
    return key;
  };
  const newAccount: Service['newAccount'] = async () => {
    const accountId = newId('acc');
    await ensureAccount(pool, accountId, 'test');
    return { accountId, key: await newKey({ accountId }) };
  };
  const { accountId, key } = await newAccount();
  let isAppStopped = false;
  const stopApp = async (): Promise<void> => {
    if (!isAppStopped) await app?.stop();
    isAppStopped = true;
  };
  const service: Service = {
    apiUrl,
    databaseUrl: database.url,
    dataDir,
    pool,
    temporal,
    env,
    key,
    accountId,
    signInUrl: app?.signInUrl ?? null,
    newKey,
    newAccount,
    call: (method, path, body, headers) => call(apiUrl, key, method, path, body, headers),
    async newWebhook(url, more = {}) {
      const response = await service.call<{ webhook_id: string; secret: string }>('POST', '/v1/webhooks', {
        url,
        events: ['*'],
        ...more,
      });
      if (response.status !== 201) throw new Error(response.text);
      return response.body;
    },
    async publish(more = {}) {
      const event = {
        event: 'document.deleted',
        data: { document_id: 'doc_1', dataset_id: 'ds_1' },
        ...more,
      };
      const response = await service.call<Awaited<ReturnType<Service['publish']>>>(
        'POST',
        '/v1/events',
        event,
      );
      if (response.status !== 202) throw new Error(response.text);
      return response.body;
    },
    stopApp,
    async stop() {
      await stopApp();
      await temporal.connection.close();
      await database.drop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
  return service;
}

/** Ends the shared parts of the tests of a file, in this order. Parts that did not start are skipped. */
export async function stopAll(
  ...parts: ({ stop(): Promise<void> } | { close(): Promise<void> } | undefined)[]
): Promise<void> {
  for (const part of parts) await (part && ('stop' in part ? part.stop() : part.close()));
}

/** The same so many times, at once. */
export const atOnce = <T>(count: number, run: () => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, run));

/** Waits until `read` returns something that `isDone` accepts. */
export async function until<T>(
  read: () => Promise<T> | T,
  isDone: (value: T) => boolean,
  timeoutMs = 120_000,
): Promise<T> {
  const startedAt = Date.now();
  for (;;) {
    const value = await read();
    if (isDone(value)) return value;
    const waitedMs = Date.now() - startedAt;
    if (waitedMs > timeoutMs)
      throw new Error(`Not reached in ${timeoutMs} ms; last: ${JSON.stringify(value)?.slice(0, 2000)}`);
    // After a longer wait it looks less often: each look costs the service a request.
    await delay(Math.min(10 + waitedMs / 10, 100));
  }
}

/** Waits until the API of a process that was just started is ready. The error has the output of `child`, the process. */
export async function untilReady(
  apiUrl: string,
  child?: { isRunning(): boolean; output(): string },
): Promise<void> {
  const isReady = async () => {
    if (child?.isRunning() === false) throw new Error(`It has ended: ${child.output()}`);
    const check = await fetch(`${apiUrl}/readyz`, { signal: AbortSignal.timeout(10_000) }).catch(() => null);
    return (
      check?.ok === true ||
      `${check?.status}: ${(await check?.text()) ?? 'no response'} ${child?.output() ?? ''}`
    );
  };
  await until(isReady, (result) => result === true);
}
