import { isDatabaseUnavailable } from './pool.ts';

type Waiting<In, Out> = { input: In; resolve: (output: Out) => void; reject: (error: unknown) => void };

type Options<In, Out> = {
  /** Does one batch; answers in the order of its inputs. */
  run: (inputs: In[]) => Promise<Out[]>;
  maxSize: number;
  /** Batches under way at once; what comes meanwhile is the next batch. */
  concurrency: number;
};

/**
 * Joins concurrent calls into batches without a timer: a lone call goes at once, and what arrives while `concurrency`
 * batches are under way goes together afterwards. Of a batch that fails, each call is tried alone.
 *
 * @example const load = createBatcher({ run: (ids) => loadMany(ids), maxSize: 64, concurrency: 2 }); await load('a')
 */
export function createBatcher<In, Out>({
  run,
  maxSize,
  concurrency,
}: Options<In, Out>): (input: In) => Promise<Out> {
  const queue: Waiting<In, Out>[] = [];
  let underWay = 0;

  const runBatch = async (batch: Waiting<In, Out>[]): Promise<void> => {
    try {
      const outputs = await run(batch.map(({ input }) => input));
      if (outputs.length !== batch.length) throw new Error('A batch answered with another number of outputs');
      batch.forEach(({ resolve }, index) => resolve(outputs[index] as Out));
    } catch (error) {
      // One bad input must not fail its neighbors: each is tried alone, unless the database itself is away.
      if (batch.length === 1 || isDatabaseUnavailable(error)) batch.forEach(({ reject }) => reject(error));
      else for (const waiting of batch) await runBatch([waiting]);
    }
  };
  const pump = (): void => {
    while (underWay < concurrency && queue.length > 0) {
      underWay += 1;
      void runBatch(queue.splice(0, maxSize)).finally(() => {
        underWay -= 1;
        pump();
      });
    }
  };
  return (input) =>
    new Promise<Out>((resolve, reject) => {
      queue.push({ input, resolve, reject });
      // Not at once: calls of the same turn of the event loop belong together.
      if (underWay < concurrency) queueMicrotask(pump);
    });
}
