import { setTimeout as delay } from 'node:timers/promises';
import { createKeyUses } from './db/key-uses.ts';
import type { Deps } from './deps.ts';
import { listen } from './listen.ts';
import type { Metrics } from './observability/metrics.ts';
import { portOf } from './require-ports.ts';
import type { Stops } from './stops.ts';

/** Of a connection, where several processes share the port: afterwards another process may take its requests. */
const maxAgeMs = 60_000;

/** How a process ends. */
export type Life = {
  /** Another process takes the connections. */
  isReplaced: boolean;
  /** It is not ready any more. */
  isStopping: boolean;
  /** Resolves when a process that is replaced is to end at once. */
  hurry: PromiseWithResolvers<void>;
};

type Options = {
  parts: Omit<Deps, 'streams' | 'keyUses' | 'eventWaits' | 'metrics'> & { metrics: Metrics };
  /** Several processes listen on the port. */
  sharesPort: boolean;
  life: Life;
  stops: Stops;
};

/** Starts the HTTP API, with the dashboard; returns its URL. Its code is loaded only here: a worker does without. */
export async function startApi({ parts, sharesPort, life, stops }: Options): Promise<string> {
  const { config, log, metrics, pool, changes } = parts;
  const { createApi, createEventWaits, createStreams } = await import('./api/server.ts');
  const streams = createStreams(changes);
  const keyUses = createKeyUses({
    db: pool,
    onError: (error) => log.warn({ err: error }, 'the last use of keys was not written; tried again'),
  });
  stops.later('key uses', keyUses);
  metrics.watchStreams(streams.count);
  const eventWaits = createEventWaits({
    db: pool,
    changes,
    onError: (error) =>
      log.warn({ err: error }, 'requests that wait for deliveries could not be looked at; tried again'),
  });
  const wanted = { name: 'PORT', host: config.HOST, port: config.PORT } as const;
  const api = createApi({ ...parts, streams, keyUses, eventWaits });
  const server = await listen(api, { ...wanted, ...(sharesPort && { maxAgeMs }) });
  stops.push('api', async () => {
    streams.close();
    await eventWaits.close();
    if (life.isReplaced) await Promise.race([server.drain(), life.hurry.promise]);
    life.isStopping = !life.isReplaced;
    // Load balancers that check whether it is ready send their requests elsewhere by then.
    if (life.isStopping) await delay(config.FLTR_DRAIN_SECONDS * 1000);
    await server.close();
  });
  return `http://${portOf({ host: config.HOST, port: server.port }, 1).text}`;
}
