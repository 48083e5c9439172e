import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { defineSearchAttributeKey } from '@temporalio/common';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import { findTemporal, userCacheDir } from '../../src/embedded/find-temporal.ts';
import { isAlive } from '../../src/embedded/processes.ts';
import { startEmbeddedTemporal } from '../../src/embedded/temporal.ts';
import type { EmbeddedTemporal } from '../../src/embedded/temporal.ts';
import { isListening } from '../kit/listening.ts';
import { until } from '../kit/service.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'fltr-temporal-'));
const dbFile = join(dataDir, 'temporal', 'temporal.db');
const attribute = defineSearchAttributeKey('FltrWebhookId', 'KEYWORD');
const servers: EmbeddedTemporal[] = [];
const lines: string[] = [];
const report = (line: string): void => void lines.push(line);
const taken: Server[] = [];
let executable = '';

type Overrides = {
  keepPorts?: boolean;
  dataDir?: string;
  searchAttributes?: Record<string, string>;
  uiPreferredPort?: number;
  namespace?: string;
};

async function start(overrides: Overrides = {}): Promise<EmbeddedTemporal> {
  lines.length = 0;
  const server = await startEmbeddedTemporal({
    dataDir,
    env: process.env,
    report,
    executable,
    uiPreferredPort: 8233,
    namespace: 'fltr-test',
    searchAttributes: { FltrWebhookId: 'Keyword' },
    ...overrides,
  });
  servers.push(server);
  return server;
}

async function withClient<T>(server: EmbeddedTemporal, use: (client: Client) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address: server.address });
  try {
    return await use(new Client({ connection, namespace: 'fltr-test' }));
  } finally {
    await connection.close();
  }
}

/** Occupies the port, unless another program already does. */
async function occupy(port: number): Promise<void> {
  await new Promise<void>((done) => {
    const server = createServer().once('error', () => done());
    server.listen(port, '127.0.0.1', () => done());
    taken.push(server);
  });
}

beforeAll(async () => {
  const cacheDir = userCacheDir(process.env, process.platform);
  executable = (await findTemporal({ env: process.env, cacheDir, report })).path;
}, 30 * 60_000);
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});
afterAll(() => {
  for (const server of taken) server.close();
  rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 });
});

test('two servers that start at the same moment use different ports, and neither takes the other for itself', async () => {
  const folders = ['a', 'b'].map((name) => join(dataDir, name));
  const both = await Promise.all(folders.map((folder) => start({ dataDir: folder })));
  expect(new Set(both.flatMap((server) => [server.address, server.uiUrl])).size).toBe(4);
  for (const server of both) {
    expect(isAlive(server.pid)).toBe(true);
    await withClient(server, (client) =>
      client.workflow.start('waitsForAWorker', { workflowId: 'only-once', taskQueue: 'nobody-listens' }),
    );
  }
});

test('the first start avoids taken ports, responds on gRPC and in the browser, and keeps its files private', async () => {
  await occupy(7233);
  await occupy(8233);
  const server = await start();
  expect(lines).toEqual([expect.stringContaining(`creating the database ${dbFile}`)]);
  expect(server.address).not.toBe('127.0.0.1:7233');
  expect(server.uiUrl).not.toBe('http://127.0.0.1:8233');
  await expect.poll(async () => (await fetch(server.uiUrl).catch(() => undefined))?.status).toBe(200);
  expect(statSync(join(dataDir, 'temporal')).mode & 0o777).toBe(0o700);
  await withClient(server, (client) =>
    client.workflow.start('waitsForAWorker', {
      workflowId: 'kept',
      taskQueue: 'nobody-listens',
      typedSearchAttributes: [{ key: attribute, value: 'ep_1' }],
    }),
  );
  server.kill();
  expect(await server.exited).toEqual({ code: null, signal: 'SIGKILL' });
});

test('after kill -9 the second start has the workflow, the same ports, and takes a new search attribute', async () => {
  const ports = JSON.parse(readFileSync(join(dataDir, 'temporal', 'ports.json'), 'utf8')) as Record<
    string,
    number
  >;
  const server = await start({ searchAttributes: { FltrWebhookId: 'Keyword', FltrAttempt: 'Int' } });
  expect(lines).toEqual([]);
  expect(server.address).toBe(`127.0.0.1:${ports['port']}`);
  expect(server.uiUrl).toBe(`http://127.0.0.1:${ports['uiPort']}`);
  await withClient(server, async (client) => {
    const description = await client.workflow.getHandle('kept').describe();
    expect(description.status.name).toBe('RUNNING');
    expect(description.typedSearchAttributes.get(attribute)).toBe('ep_1');
    const names = await client.connection.operatorService.listSearchAttributes({ namespace: 'fltr-test' });
    expect(Object.keys(names.customAttributes ?? {})).toEqual(
      expect.arrayContaining(['FltrWebhookId', 'FltrAttempt']),
    );
  });
  await withClient(server, (client) =>
    client.workflow.start('waitsForAWorker', {
      workflowId: 'usesTheNewOne',
      taskQueue: 'nobody-listens',
      typedSearchAttributes: [{ key: defineSearchAttributeKey('FltrAttempt', 'INT'), value: 1 }],
    }),
  );
  await server.stop();
  // By itself, before the grace time was over.
  expect((await server.exited).signal).toBe(null);
});

test('a server that an earlier life left behind is stopped first', async () => {
  const port = await reservePort();
  const orphan = spawn(
    executable,
    [
      'server',
      'start-dev',
      '--headless',
      '--ip',
      '127.0.0.1',
      '--port',
      String(port),
      '--db-filename',
      dbFile,
    ],
    { detached: true, stdio: 'ignore' },
  );
  const gone = new Promise((done) => orphan.once('exit', done));
  await until(() => isListening(port), Boolean);
  writeFileSync(join(dataDir, 'temporal', 'temporal.pid'), String(orphan.pid));
  const server = await start();
  await gone;
  expect(lines).toEqual([expect.stringContaining(`left by an earlier run (process ${orphan.pid})`)]);
  await withClient(server, (client) => client.workflow.getHandle('kept').describe());
});

test('a pid file that names another program by now stops neither that program nor the start', async () => {
  const other = spawn('sleep', ['60'], { stdio: 'ignore' });
  writeFileSync(join(dataDir, 'temporal', 'temporal.pid'), String(other.pid));
  try {
    await start();
    expect(isAlive(other.pid ?? 0)).toBe(true);
  } finally {
    other.kill('SIGKILL');
  }
});

test('a free preferred port of the Web UI is used, a restart keeps it, and a start that fails says why', async () => {
  const uiPreferredPort = await reservePort();
  const server = await start({ uiPreferredPort, namespace: 'default' });
  expect(server.uiUrl).toBe(`http://127.0.0.1:${uiPreferredPort}`);
  await server.stop();
  await expect(start({ searchAttributes: { FltrWebhookId: 'NoSuchType' } })).rejects.toThrow(
    /Temporal did not start: it exited[^]*NoSuchType/,
  );
  const otherFree = await reservePort();
  const restarted = await start({ uiPreferredPort: otherFree, namespace: 'default', keepPorts: true });
  expect(restarted).toMatchObject({ address: server.address, uiUrl: server.uiUrl });
});
