import type { Operation } from '../../contracts/operation.ts';
import { scopeText } from '../operation-text.ts';
import { At } from './time.tsx';
import { WebhookName } from './webhook-name.tsx';

/** Which deliveries an operation is about, in words. */
export function OperationScope({ operation }: { operation: Operation }) {
  const { webhook_id: webhookId, since, until } = operation.filter;
  return (
    <>
      {scopeText(operation)}
      {webhookId !== undefined && (
        <>
          {' to '}
          <WebhookName webhookId={webhookId} />
        </>
      )}
      {since !== undefined && (
        <>
          , accepted from <At at={since} />
        </>
      )}
      {until !== undefined && (
        <>
          {' until '}
          <At at={until} />
        </>
      )}
    </>
  );
}
