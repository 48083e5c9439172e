import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { packageRoot } from '../src/package-root.ts';

/** Functions of one process that another one calls. Each takes one input. */
type Calls = Record<string, (input: never) => unknown>;
type Request = { id: number; name: string; input: unknown };
type Reply = { id: number; value?: unknown; error?: string };

/** In the process that has the functions. It ends when the process that started it ends. */
export function serveCalls(calls: Calls): void {
  const reply = async ({ id, name, input }: Request): Promise<Reply> => {
    try {
      const call = calls[name] as ((input: unknown) => unknown) | undefined;
      if (!call) throw new Error(`There is no call ${name}`);
      return { id, value: await call(input) };
    } catch (error) {
      return { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
  };
  process.on('message', (request: Request) => {
    void reply(request).then((message) => process.send?.(message));
  });
  process.on('disconnect', () => process.exit());
  // Ctrl-C in a terminal signals every process: this one is stopped by the one that started it.
  process.on('SIGINT', () => undefined);
}

export type Remote<C extends Calls> = {
  pid: number;
  /** @throws where it fails, takes longer than the limit, or the process ends */
  call<N extends keyof C & string>(
    name: N,
    input: Parameters<C[N]>[0],
    limitMs: number,
  ): Promise<Awaited<ReturnType<C[N]>>>;
  stop(): Promise<void>;
};

/** Starts `bench/<name>.ts`, compiled, as a process of its own. */
export function startRemote<C extends Calls>(name: string): Remote<C> {
  // Standard output is for the report alone.
  const child = fork(join(packageRoot, 'dist/bench', `${name}.js`), {
    serialization: 'advanced',
    stdio: ['ignore', 2, 2, 'ipc'],
  });
  const waiting = new Map<number, (reply: Reply) => void>();
  let nextId = 1;
  child.on('message', (reply: Reply) => waiting.get(reply.id)?.(reply));
  child.on('exit', () => {
    for (const [id, resolve] of waiting) resolve({ id, error: `the process ${name} ended` });
  });
  if (child.pid === undefined) throw new Error(`${name} could not be started`);
  return {
    pid: child.pid,
    async call(callName, input, limitMs) {
      const id = nextId++;
      let timer: NodeJS.Timeout | undefined;
      const reply = await new Promise<Reply>((resolve) => {
        waiting.set(id, resolve);
        timer = setTimeout(() => resolve({ id, error: `took over ${limitMs} ms` }), limitMs);
        child.send({ id, name: callName, input } satisfies Request, (error) => {
          if (error) resolve({ id, error: error.message });
        });
      });
      clearTimeout(timer);
      waiting.delete(id);
      if (reply.error !== undefined) throw new Error(`${name}.${callName}: ${reply.error}`);
      return reply.value as never;
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}
