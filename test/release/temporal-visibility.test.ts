import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import proto from '@temporalio/proto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDatabase, runVisibilityFile, updateSchema, urlOf } from '../../bench/temporal-schema.ts';
import { findServerPrograms } from '../../bench/temporal-server-programs.ts';
import { startTemporalServer, type TemporalServer } from '../../bench/temporal-server.ts';
import { childEnvironment } from '../../src/config.ts';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../src/embedded/postgres.ts';
import { packageRoot } from '../../src/package-root.ts';
import { createTemporal, type Temporal } from '../../src/temporal/client.ts';
import { searchAttributes } from '../../workflows/contract.ts';
import { openClient } from '../kit/database-client.ts';
import { publishOne, readDelivery } from '../kit/delivery-steps.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { startService, until, type Service } from '../kit/service.ts';

/** The visibility schema of Temporal 1.29, the oldest that the files are for. */
const oldestVersion = '1.9';
const keptAlways = [
  'by_parent_workflow_id',
  'by_root_workflow_id',
  'by_status',
  'by_temporal_namespace_division',
  'by_temporal_schedule_paused',
  'by_temporal_scheduled_by_id',
  'by_workflow_id',
  'by_workflow_type',
  'default_idx',
  'executions_visibility_pkey',
];
const ours = ['Keyword01', 'Keyword03', 'Keyword07', 'Keyword08', 'KeywordList02'];
/** Keyword03 → by_keyword_03. */
const indexOf = (column: string) => `by_${column.replaceAll(/(?<=[a-z])(?=[A-Z\d])/g, '_').toLowerCase()}`;
const keptFor = (columns: string[]) => [...new Set([...keptAlways, ...columns.map(indexOf)])].sort();

const env = childEnvironment();
const report = (line: string) => void process.stderr.write(`${line}\n`);
const dataDir = mkdtempSync(join(tmpdir(), 'fltr-visibility-'));
let postgres: EmbeddedPostgres;
let schema: (database: string, version?: string) => Promise<void>;
// Building the server takes minutes, once for this user.
beforeAll(async () => {
  const { sqlTool } = await findServerPrograms({ env, report });
  postgres = await startEmbeddedPostgres({ dataDir, env, report });
  schema = async (database, version) => {
    await createDatabase(postgres.url, database);
    await updateSchema({ sqlTool, databaseUrl: postgres.url, env }, 'visibility', database, version);
  };
}, 40 * 60_000);
afterAll(async () => {
  await postgres.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

async function indexesOf(database: string): Promise<{ name: string; definition: string }[]> {
  const client = await openClient(urlOf(postgres.url, database));
  try {
    const { rows } = await client.query<{ name: string; definition: string }>(
      `select indexname as name, indexdef as definition from pg_indexes
       where tablename = 'executions_visibility' order by indexname collate "C"`,
    );
    return rows;
  } finally {
    await client.end();
  }
}
const namesOf = async (database: string) => (await indexesOf(database)).map(({ name }) => name);
const run = (file: 'lean' | 'full', database: string, columns: string[] = []) =>
  runVisibilityFile(file, postgres.url, { database, columns });

test.each([
  ['of Temporal 1.29', oldestVersion],
  ["of this server's version", undefined],
])(
  'lean drops the indexes that nobody filters on, full makes them again as they were: the schema %s',
  async (_, version) => {
    const database = `taken_back_${version === undefined ? 'newest' : 'oldest'}`;
    await schema(database, version);
    const untouched = await indexesOf(database);
    await run('lean', database, ours);
    await run('lean', database, ours);
    expect(await namesOf(database)).toEqual(keptFor(ours));
    await run('full', database);
    await run('full', database);
    expect(await indexesOf(database)).toEqual(untouched);
  },
);

test('the schema is upgraded over lean, and full leaves the schema of an untouched database', async () => {
  await schema('untouched');
  const untouched = await indexesOf('untouched');
  await schema('upgraded', oldestVersion);
  await run('lean', 'upgraded', ours);
  await schema('upgraded');
  // The indexes of the newer versions are there until lean runs again.
  expect((await namesOf('upgraded')).length).toBeGreaterThan(keptFor(ours).length);
  await run('lean', 'upgraded', ours);
  expect(await namesOf('upgraded')).toEqual(keptFor(ours));
  await run('full', 'upgraded');
  expect(await indexesOf('upgraded')).toEqual(untouched);
});

test('visibility-lean keeps the columns of custom attributes in use, and all Keyword columns until four are known', async () => {
  await schema('custom');
  const keywords = Array.from({ length: 10 }, (_, index) => `Keyword${String(index + 1).padStart(2, '0')}`);
  const client = await openClient(urlOf(postgres.url, 'custom'));
  const insert = (attributes: Record<string, unknown>) =>
    client.query(
      `insert into executions_visibility (namespace_id, run_id, start_time, execution_time, workflow_id,
         workflow_type_name, status, encoding, search_attributes)
       values ('n', gen_random_uuid(), now(), now(), 'w', 't', 1, 'json', $1)`,
      [JSON.stringify(attributes)],
    );
  const lists = ['KeywordList01', 'KeywordList02', 'KeywordList03'];
  await insert({ Int02: 7, Text01: 'words', Keyword04: 'x', Keyword05: 'x', Keyword06: 'x' });
  await client.query(
    `insert into executions_visibility (namespace_id, run_id, start_time, execution_time, workflow_id,
       workflow_type_name, status, encoding) values ('n', 'r', now(), now(), 'w', 't', 1, 'json')`,
  );
  await run('lean', 'custom');
  const known = ['Int02', 'Text01'];
  expect(await namesOf('custom')).toEqual(keptFor([...known, ...keywords, ...lists]));
  await run('lean', 'custom', ['Keyword09']);
  known.push('Keyword04', 'Keyword05', 'Keyword06', 'Keyword09');
  expect(await namesOf('custom')).toEqual(keptFor([...known, ...lists]));
  await insert({ Keyword09: 'y', KeywordList02: ['x'] });
  await client.end();
  await run('lean', 'custom');
  expect(await namesOf('custom')).toEqual(keptFor([...known, 'KeywordList02']));
});

test('visibility-full finishes the work of an interrupted run', async () => {
  await schema('interrupted');
  const untouched = await indexesOf('interrupted');
  const client = await openClient(urlOf(postgres.url, 'interrupted'));
  // As a create index concurrently that was broken off.
  await client.query(
    `update pg_index set indisvalid = false where indexrelid in ('by_int_01'::regclass, 'by_text_02'::regclass)`,
  );
  await run('full', 'interrupted');
  const { rows } = await client.query(`select from pg_index where not indisvalid`);
  await client.end();
  expect(rows).toEqual([]);
  expect(await indexesOf('interrupted')).toEqual(untouched);
});

test('visibility-lean refuses a schema that it does not know, and changes nothing', async () => {
  await schema('too_old', '1.5');
  const before = await namesOf('too_old');
  await expect(run('lean', 'too_old')).rejects.toThrow(/older than 1\.9 .*upgrade it first/);
  expect(await namesOf('too_old')).toEqual(before);
});

test('visibility-lean and visibility-full name the same indexes', () => {
  const names = (file: string) =>
    [
      ...readFileSync(join(packageRoot, `docs/temporal/visibility-${file}.sql`), 'utf8').matchAll(
        /^ +\(?'(by_\w+)'/gm,
      ),
    ].map(([, name]) => name);
  expect(names('lean')).toEqual(names('full'));
  expect(names('lean')).toHaveLength(64);
});

test(
  'the service works on a real server that was upgraded over lean, and lean again',
  { timeout: 240_000 },
  async () => {
    await schema('temporal_visibility', oldestVersion);
    await run('lean', 'temporal_visibility');
    let server: TemporalServer | undefined;
    let temporal: Temporal | undefined;
    let service: Service | undefined;
    let receiver: Receiver | undefined;
    try {
      const options = { dataDir, databaseUrl: postgres.url, env, report };
      server = await startTemporalServer(options);
      temporal = createTemporal({ address: server.address, tls: false }, 'default');
      const { client } = temporal;
      const { workflowService } = temporal.connection;
      const ids = async (query: string) => {
        const found: string[] = [];
        for await (const { workflowId } of client.workflow.list({ query })) found.push(workflowId);
        return found.sort();
      };

      // The server gives our attributes columns at random; their indexes stay, the others go.
      const { config } = await workflowService.describeNamespace({ namespace: 'default' });
      const aliases = config?.customSearchAttributeAliases ?? {};
      expect(Object.values(aliases).sort()).toEqual(Object.keys(searchAttributes).sort());
      expect(await namesOf('temporal_visibility')).toEqual(keptFor(Object.keys(aliases)));

      let responseStatus = 200;
      receiver = await startReceiver((_request, response) => response.writeHead(responseStatus).end());
      service = await startService({
        TEMPORAL_ADDRESS: server.address,
        TEMPORAL_NAMESPACE: 'default',
        FLTR_AUTO_DISABLE_EVERY_SECONDS: '1',
      });
      const { webhook_id: webhookId } = await service.newWebhook(receiver.url);
      const { id: eventId, deliveries } = await service.publish();
      const delivered = deliveries[0]?.id ?? '';
      await until(
        () => readDelivery(service as Service, delivered),
        ({ status }) => status === 'delivered',
      );

      // Listing by each of our attributes, and by Temporal's own.
      const values: Record<keyof typeof searchAttributes, string> = {
        FltrAccount: service.accountId,
        FltrEventType: 'document.deleted',
        FltrDelivery: delivered,
        FltrEvent: eventId,
        FltrWebhook: webhookId,
      };
      const completed = `WorkflowType = 'deliverEvent' and ExecutionStatus = 'Completed'`;
      await until(
        () => ids(completed),
        (found) => found.length === 1,
      );
      for (const [name, value] of Object.entries(values)) {
        expect(await ids(`${name} = '${value}' and ${completed}`), name).toEqual([delivered]);
        expect(await ids(`${name} = 'none'`), name).toEqual([]);
      }
      expect(await ids(`WorkflowId = '${delivered}'`)).toEqual([delivered]);
      expect((await client.workflow.count(`FltrAccount = '${service.accountId}'`)).count).toBe(1);

      // A filter on a column without an index is slower, and as right.
      expect(await ids(`TaskQueue = 'fltr-webhooks' and HistoryLength > 2 and ${completed}`)).toEqual([
        delivered,
      ]);

      // Schedules: made by the service, run, listed, filtered, paused.
      const scheduled = await until(
        () => ids(`TemporalScheduledById is not null and ExecutionStatus = 'Completed'`),
        (found) => found.length > 0,
      );
      expect(scheduled[0]).toMatch(/^[\w-]+-\d{4}-\d\d-\d\dT/);
      const schedules = async (query?: string) => {
        const found: string[] = [];
        for await (const { scheduleId } of client.schedule.list(query === undefined ? {} : { query }))
          found.push(scheduleId);
        return found.sort();
      };
      const all = await until(
        () => schedules(),
        (found) => found.length >= 2,
      );
      const paused = all[0] ?? '';
      await client.schedule.getHandle(paused).pause('test');
      await until(
        () => schedules('TemporalSchedulePaused = true'),
        (found) => found.length === 1 && found[0] === paused,
      );
      expect(await schedules('TemporalSchedulePaused = false')).toEqual(all.slice(1));

      // A batch job, chosen by our attribute: the next attempts of all that wait are made now.
      responseStatus = 503;
      const waiting = [
        await publishOne(service),
        await publishOne(service),
        await publishOne(service),
      ].sort();
      const query = `FltrWebhook = '${webhookId}' and ExecutionStatus = 'Running'`;
      await until(
        () => ids(query),
        (found) => found.length === 3,
      );
      expect(await ids(query)).toEqual(waiting);
      for (const id of waiting)
        await until(
          () => readDelivery(service as Service, id),
          ({ status }) => status === 'retrying',
        );
      responseStatus = 200;
      const jobId = randomUUID();
      await workflowService.startBatchOperation({
        namespace: 'default',
        jobId,
        reason: 'test',
        visibilityQuery: query,
        signalOperation: { signal: 'retryNow', identity: 'test' },
      });
      for (const id of waiting)
        await until(
          () => readDelivery(service as Service, id),
          ({ status, attempts }) => status === 'delivered' && attempts.length === 2,
          60_000,
        );
      const { operationInfo } = await until(
        () => workflowService.listBatchOperations({ namespace: 'default' }),
        ({ operationInfo: jobs }) =>
          jobs?.[0]?.state ===
          proto.temporal.api.enums.v1.BatchOperationState.BATCH_OPERATION_STATE_COMPLETED,
      );
      expect(operationInfo.map((job) => job.jobId)).toEqual([jobId]);

      // The server's own query of its visibility, which nobody else makes here.
      expect(
        (await workflowService.listWorkerDeployments({ namespace: 'default' })).workerDeployments,
      ).toEqual([]);

      // Killed and started again at the same address, the server continues with the waiting workflows.
      responseStatus = 503;
      const survivor = await publishOne(service);
      await until(
        () => readDelivery(service as Service, survivor),
        ({ status }) => status === 'retrying',
      );
      const { address } = server;
      server.kill();
      await server.exited;
      server = await startTemporalServer(options);
      expect(server.address).toBe(address);
      responseStatus = 200;
      const retry = await until(
        () => (service as Service).call('POST', `/v1/deliveries/${survivor}/retry`),
        ({ status }) => status === 202,
      );
      expect(retry.status).toBe(202);
      await until(
        () => readDelivery(service as Service, survivor),
        ({ status }) => status === 'delivered',
      );
    } finally {
      await service?.stop();
      await receiver?.close();
      await temporal?.connection.close();
      await server?.stop();
    }
  },
);
