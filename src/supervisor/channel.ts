import { describeDatabaseFault } from '../db/describe-fault.ts';
import { StartError } from '../errors.ts';

/** Functions of one process that another one calls. Each takes one input. */
export type Calls = Record<string, (input: never) => unknown>;

/** The other end: a child process, or the parent. */
export type Peer = {
  send(message: object, sent: (error: Error | null) => void): void;
  onMessage(listener: (message: unknown) => void): void;
  onEnd(listener: () => void): void;
};

type Request = { id: number; name: string; input: unknown };
type Reply = { id: number; value?: unknown; fault?: string };

export type Channel<Remote extends Calls> = {
  /** @throws StartError with the other process's fault, in words; also where it ends, or takes longer than the limit */
  call<Name extends keyof Remote & string>(
    name: Name,
    input: Parameters<Remote[Name]>[0],
    limitMs: number,
  ): Promise<Awaited<ReturnType<Remote[Name]>>>;
};

/** Calls between a supervisor and a service process, in both directions. `own`: the calls that the other end may make. */
export function openChannel<Remote extends Calls>(peer: Peer, own: Calls): Channel<Remote> {
  const waiting = new Map<number, (reply: Omit<Reply, 'id'>) => void>();
  let nextId = 1;
  let hasEnded = false;
  // A message cannot be sent if the other process has ended. `onEnd` then ends the calls that wait.
  const send = (message: Request | Reply): void => peer.send(message, () => undefined);
  const reply = async ({ id, name, input }: Request): Promise<void> => {
    try {
      const call = own[name] as ((input: unknown) => unknown) | undefined;
      if (!call) throw new Error(`There is no call ${name}`);
      send({ id, value: await call(input) });
    } catch (error) {
      send({ id, fault: faultOf(error) });
    }
  };
  peer.onMessage((message) => {
    const received = message as Request | Reply;
    if ('name' in received) void reply(received);
    else waiting.get(received.id)?.(received);
  });
  peer.onEnd(() => {
    hasEnded = true;
    for (const resolve of waiting.values()) resolve({ fault: 'The process ended.' });
  });
  return {
    async call(name, input, limitMs) {
      if (hasEnded) throw new StartError('The process ended.');
      const id = nextId++;
      const { promise, resolve } = Promise.withResolvers<Omit<Reply, 'id'>>();
      const timer = setTimeout(
        () => resolve({ fault: `The process did not respond within ${limitMs / 1000} s.` }),
        limitMs,
      );
      waiting.set(id, resolve);
      send({ id, name, input });
      const { value, fault } = await promise;
      clearTimeout(timer);
      waiting.delete(id);
      if (fault !== undefined) throw new StartError(fault);
      return value as never;
    },
  };
}

/** Expected errors explain themselves in their message; a stack is for bugs. */
function faultOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const isExpected = error instanceof StartError || error.constructor === Error;
  return describeDatabaseFault(error) ?? (isExpected ? error.message : (error.stack ?? error.message));
}
