import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import type { Child, ChildExit } from './supervise.ts';

type Target = {
  address: string;
  namespace: string;
  searchAttributes: Record<string, string>;
  /** The server's output since this start. */
  output: () => string;
};

const RPC_TIMEOUT_MS = 5_000;
const ANNOUNCE_TIMEOUT_MS = 10_000;
/** In the order of the enum IndexedValueType, which starts at 1. */
const TYPES = ['Text', 'Keyword', 'Int', 'Double', 'Bool', 'Datetime', 'KeywordList'];

/** Waits until the namespace is ready and has its search attributes. Returns undefined, or the failure. */
export async function waitUntilReady(
  child: Child,
  target: Target,
  deadline: number,
): Promise<string | undefined> {
  const startedAt = Date.now();
  let exit: ChildExit | undefined;
  void child.exited.then((how) => (exit = how));
  let last = 'it did not respond in time';
  while (Date.now() < deadline) {
    if (exit !== undefined) return `it exited (${exit.signal ?? `code ${exit.code}`})`;
    // Another server may have taken the port and would respond in place of ours, which is about to exit. Ours prints its
    // address when it has bound it; in case another version does not, after a timeout it only needs to be running.
    if (/^\W*(temporal )?server:/im.test(target.output()) || Date.now() - startedAt > ANNOUNCE_TIMEOUT_MS) {
      try {
        await prepareNamespace(target);
        return undefined;
      } catch (error) {
        last = error instanceof Error ? error.message : String(error);
      }
    }
    await sleep(50);
  }
  return last;
}

async function prepareNamespace(target: Target): Promise<void> {
  const connection = await Connection.connect({ address: target.address, connectTimeout: '2s' });
  try {
    await connection.withDeadline(Date.now() + RPC_TIMEOUT_MS, () => addSearchAttributes(connection, target));
  } finally {
    await connection.close();
  }
}

/** `start-dev --search-attribute` only applies when the namespace is created; later attributes are added here. */
async function addSearchAttributes(
  connection: Connection,
  { namespace, searchAttributes }: Target,
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
