import { isDatabaseUnavailable } from './pool.ts';

type Waiting<In, Out> = {
  input: In;
  weight: number;
  bytes: number;
  resolve: (output: Out) => void;
  reject: (error: unknown) => void;
};

type Options<In, Out> = {
  /** Processes one batch; its outputs are in the order of the inputs. */
  run: (inputs: In[]) => Promise<Out[]>;
  /** The maximum weight of one batch. An input that weighs more is a batch of its own. */
  maxSize: number;
  /** Concurrent batches; calls that arrive meanwhile form the next one. */
  concurrency: number;
  /** How much an input counts; by default 1. */
  weightOf?: (input: In) => number;
  /** The most that may be under way or queued at once; a call beyond it resolves at once to `whenFull`. By default no limit. */
  limit?: { weight: number; bytes: number; bytesOf: (input: In) => number; whenFull: Out };
};

/**
 * Joins concurrent calls into batches without a timer: a single call runs at once, and calls that arrive while `concurrency`
 * batches run form the next one. If a batch fails, each of its calls runs alone.
 *
 * @example const load = createBatcher({ run: (ids) => loadMany(ids), maxSize: 64, concurrency: 2 }); await load('a')
 */
export function createBatcher<In, Out>({
  run,
  maxSize,
  concurrency,
  weightOf = () => 1,
  limit,
}: Options<In, Out>): (input: In) => Promise<Out> {
  const queue: Waiting<In, Out>[] = [];
  let underWay = 0;
  let isPumpDue = false;
  let openWeight = 0;
  let openBytes = 0;

  const runBatch = async (batch: Waiting<In, Out>[]): Promise<void> => {
    try {
      const outputs = await run(batch.map(({ input }) => input));
      if (outputs.length !== batch.length) throw new Error('A batch returned another number of outputs');
      batch.forEach(({ resolve }, index) => resolve(outputs[index] as Out));
    } catch (error) {
      // One bad input must not fail the others: each runs alone, unless the database itself is unavailable.
      if (batch.length === 1 || isDatabaseUnavailable(error)) batch.forEach(({ reject }) => reject(error));
      else for (const waiting of batch) await runBatch([waiting]);
    }
  };
  const nextBatch = (): Waiting<In, Out>[] => {
    let count = 1;
    let weight = queue[0]?.weight ?? 0;
    for (let next = queue[count]; next && weight + next.weight <= maxSize; next = queue[count]) {
      weight += next.weight;
      count += 1;
    }
    return queue.splice(0, count);
  };
  const pump = (): void => {
    isPumpDue = false;
    while (underWay < concurrency && queue.length > 0) {
      underWay += 1;
      const batch = nextBatch();
      void runBatch(batch).finally(() => {
        underWay -= 1;
        for (const { weight, bytes } of batch) {
          openWeight -= weight;
          openBytes -= bytes;
        }
        pump();
      });
    }
  };
  return (input) =>
    new Promise<Out>((resolve, reject) => {
      const weight = weightOf(input);
      const bytes = limit?.bytesOf(input) ?? 0;
      if (limit && (openWeight + weight > limit.weight || openBytes + bytes > limit.bytes)) {
        resolve(limit.whenFull);
        return;
      }
      openWeight += weight;
      openBytes += bytes;
      queue.push({ input, weight, bytes, resolve, reject });
      // Deferred, so that calls of the same iteration of the event loop share a batch.
      if (underWay < concurrency && !isPumpDue) {
        isPumpDue = true;
        setImmediate(pump);
      }
    });
}
