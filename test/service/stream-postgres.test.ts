import { expect, onTestFinished, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import { newAccountKey } from '../../bench/targets.ts';
import { migrate } from '../../src/db/migrate.ts';
import { startPostgres } from '../kit/own-postgres.ts';
import { startProcess, type ServiceProcess } from '../kit/process.ts';
import { parseMetrics, sumOf } from '../kit/read-metrics.ts';
import { atOnce, call, startService, until, untilReady } from '../kit/service.ts';
import { openStream, type OpenStream } from '../kit/streams.ts';

const event = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };

/** Two processes of one service, on a PostgreSQL of their own. */
async function startTwo() {
  const service = await startService({}, null);
  const postgres = await startPostgres();
  const processes: ServiceProcess[] = [];
  onTestFinished(async () => {
    for (const child of processes) child.kill('SIGKILL');
    await Promise.all(processes.map((child) => child.exited()));
    await postgres.close();
    await service.stop();
  });
  await migrate(postgres.pool());
  const { key } = await newAccountKey(postgres.pool(), 'test');
  const start = async (role: string): Promise<string> => {
    const port = await reservePort();
    const child = startProcess([role], { ...service.env, DATABASE_URL: postgres.url(), PORT: String(port) });
    processes.push(child);
    const apiUrl = `http://127.0.0.1:${port}`;
    await untilReady(apiUrl, child);
    return apiUrl;
  };
  return { postgres, key, apiUrls: [await start('up'), await start('api')] as const };
}

async function openCount(apiUrl: string): Promise<number> {
  const text = await (await fetch(`${apiUrl}/metrics`)).text();
  return sumOf(parseMetrics(text), 'fltr_streams_open');
}

test('streams end when PostgreSQL is killed; those that are opened once it is back miss no change', async () => {
  const { postgres, key, apiUrls } = await startTwo();
  const publish = async (apiUrl: string): Promise<string> => {
    const { status, text, body } = await call<{ id: string }>(apiUrl, key, 'POST', '/v1/events', event);
    expect(status, text).toBe(202);
    return body.id;
  };
  /** As soon as the process has any. */
  const openAgain = (apiUrl: string): Promise<OpenStream> =>
    until(
      () => openStream(apiUrl, key),
      ({ status }) => status === 200,
    );
  for (let round = 0; round < 3; round += 1) {
    const firsts = await Promise.all(apiUrls.map(openAgain));
    // Each is the first to have one again; the other process may not be connected yet.
    for (const [index, stream] of firsts.entries()) {
      const { length: before } = stream.changes;
      const ids = await atOnce(10, () => publish(apiUrls[1 - index] ?? ''));
      // Without ids: anything may have changed.
      const isSaid = (id: string) =>
        stream.changes.slice(before).some((change) => change.ids?.includes(id) ?? true);
      await until(
        () => ids.filter((id) => !isSaid(id)),
        (missed) => missed.length === 0,
        20_000,
      );
    }
    const others = await Promise.all(apiUrls.map((apiUrl) => atOnce(20, () => openStream(apiUrl, key))));
    const streams = [...firsts, ...others.flat()];
    expect(streams.map(({ status }) => status)).toEqual(streams.map(() => 200));

    await postgres.kill();
    await until(
      () => streams.filter((stream) => !stream.hasEnded()).length,
      (open) => open === 0,
      20_000,
    );
    // Clients try again and again.
    for (const apiUrl of apiUrls) {
      const tried = await atOnce(50, () => openStream(apiUrl, key));
      for (const { status, headers } of tried)
        expect([status, Number(headers.get('retry-after')) > 0]).toEqual([503, true]);
      await until(
        () => openCount(apiUrl),
        (open) => open === 0,
      );
    }
    await postgres.start();
  }
  for (const apiUrl of apiUrls) (await openAgain(apiUrl)).close();
  for (const apiUrl of apiUrls)
    await until(
      () => openCount(apiUrl),
      (open) => open === 0,
    );
}, 180_000);
