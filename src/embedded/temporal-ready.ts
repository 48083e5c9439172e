import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import type { Child, ChildExit } from './supervise.ts';

type Wanted = {
  address: string;
  namespace: string;
  searchAttributes: Record<string, string>;
  /** What the server has printed since this start. */
  printed: () => string;
};

const RPC_TIMEOUT_MS = 5_000;
const ANNOUNCE_TIMEOUT_MS = 10_000;
/** In the order of the wire's enum IndexedValueType, which starts at 1. */
const TYPES = ['Text', 'Keyword', 'Int', 'Double', 'Bool', 'Datetime', 'KeywordList'];

/** undefined when the namespace answers on gRPC and has its search attributes, else what went wrong. */
export async function waitUntilReady(
  child: Child,
  wanted: Wanted,
  deadline: number,
): Promise<string | undefined> {
  const startedAt = Date.now();
  let exit: ChildExit | undefined;
  void child.exited.then((how) => (exit = how));
  let last = 'it did not answer in time';
  while (Date.now() < deadline) {
    if (exit !== undefined) return `it ended at once (${exit.signal ?? `code ${exit.code}`})`;
    // Another server may have been faster at the port, and would answer in the place of ours, which is about to end.
    // Ours prints its address when it has bound it; should another version not print it, its being alive must do.
    if (/^\W*(temporal )?server:/im.test(wanted.printed()) || Date.now() - startedAt > ANNOUNCE_TIMEOUT_MS) {
      try {
        await prepareNamespace(wanted);
        return undefined;
      } catch (error) {
        last = error instanceof Error ? error.message : String(error);
      }
    }
    await sleep(50);
  }
  return last;
}

async function prepareNamespace(wanted: Wanted): Promise<void> {
  const connection = await Connection.connect({ address: wanted.address, connectTimeout: '2s' });
  try {
    await connection.withDeadline(Date.now() + RPC_TIMEOUT_MS, () => addSearchAttributes(connection, wanted));
  } finally {
    await connection.close();
  }
}

/** `start-dev --search-attribute` counts only when it makes the namespace: what came later is added here. */
async function addSearchAttributes(
  connection: Connection,
  { namespace, searchAttributes }: Wanted,
): Promise<void> {
  await connection.workflowService.describeNamespace({ namespace });
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  const missing = Object.entries(searchAttributes).filter(([name]) => customAttributes?.[name] === undefined);
  if (missing.length === 0) return;
  await connection.operatorService.addSearchAttributes({
    namespace,
    searchAttributes: Object.fromEntries(missing.map(([name, type]) => [name, TYPES.indexOf(type) + 1])),
  });
}
