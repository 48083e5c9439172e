import type { Logger } from 'pino';

type Stop = () => Promise<void> | void;

export type Stops = ReturnType<typeof createStops>;

/** The parts that were started, which `run` stops in the opposite order. */
export function createStops(log: Logger) {
  const parts: { name: string; stop: Stop }[] = [];
  return {
    push: (name: string, stop: Stop): void => void parts.push({ name, stop }),
    /** Closes a part later; returns it. */
    later<Part extends { close: Stop }>(name: string, part: Part): Part {
      parts.push({ name, stop: () => part.close() });
      return part;
    },
    async run(): Promise<void> {
      for (const part of parts.splice(0).toReversed()) {
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
