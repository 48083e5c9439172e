import { Connection } from '@temporalio/client';

type Target = { namespace: string; searchAttributes: Record<string, string> };

const RPC_TIMEOUT_MS = 5_000;
/** In the order of the enum IndexedValueType, which starts at 1. */
const TYPES = ['Text', 'Keyword', 'Int', 'Double', 'Bool', 'Datetime', 'KeywordList'];

/** Gives the namespace its search attributes. Throws if the server or the namespace is not ready. */
export async function prepareNamespace(address: string, target: Target): Promise<void> {
  const connection = await Connection.connect({ address, connectTimeout: '2s' });
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
