import type { Logger } from 'pino';

/** The parts that were started, which `stop` stops in the opposite order. */
export function createStops(log: Logger) {
  const stops: { name: string; stop: () => Promise<void> | void }[] = [];
  return {
    stops,
    stopLater<Part extends { close(): Promise<void> | void }>(name: string, part: Part): Part {
      stops.push({ name, stop: () => part.close() });
      return part;
    },
    async stop(): Promise<void> {
      for (const part of stops.splice(0).toReversed()) {
        const startedAt = performance.now();
        try {
          await part.stop();
          log.debug({ part: part.name, ms: Math.round(performance.now() - startedAt) }, 'a part has stopped');
        } catch (error) {
          log.error({ err: error, part: part.name }, 'a part did not stop cleanly');
        }
      }
    },
  };
}
