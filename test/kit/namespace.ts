import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { inject } from 'vitest';
import { createTemporal, type Temporal } from '../../src/temporal/client.ts';

/** A namespace of its own, usable. Closing is the caller's. */
export async function createNamespace(): Promise<Temporal> {
  const address = inject('temporalAddress');
  const temporal = createTemporal({ address, tls: false }, `test-${randomUUID()}`);
  const { namespace, connection } = temporal;
  await connection.workflowService.registerNamespace({
    namespace,
    workflowExecutionRetentionPeriod: { seconds: 86_400 as never },
  });
  for (let attempt = 0; ; attempt += 1) {
    try {
      await connection.workflowService.describeNamespace({ namespace });
      await connection.workflowService.listOpenWorkflowExecutions({
        namespace,
        maximumPageSize: 1,
        startTimeFilter: {},
      });
      return temporal;
    } catch (error) {
      if (attempt === 100) throw error;
      await delay(200);
    }
  }
}
