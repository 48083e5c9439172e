import type { Recovery } from '../../src/contracts/recovery.ts';
import { onTestFinished } from 'vitest';
import { call, until, type ApiResponse, type Service } from './service.ts';
import { startReceiver, type Receiver } from './test-receiver.ts';

export type Account = {
  accountId: string;
  key: string;
  call<T = Record<string, never>>(method: string, path: string, body?: unknown): Promise<ApiResponse<T>>;
  newWebhook(url: string, more?: Record<string, unknown>): Promise<string>;
  /** Publishes so many events. Returns their deliveries' ids. */
  publish(count: number, more?: Record<string, unknown>): Promise<string[]>;
  recover(webhookId: string, body: Record<string, unknown>): Promise<ApiResponse<Recovery>>;
  readRecovery(id: string): Promise<Recovery>;
  waitForRecovery(id: string, isDone: (recovery: Recovery) => boolean, timeoutMs?: number): Promise<Recovery>;
};

/** An account of its own, without the events of other tests, which a recovery would send. */
export async function openAccount(service: Service): Promise<Account> {
  const { accountId, key } = await service.newAccount();
  const account: Account = {
    accountId,
    key,
    call: (method, path, body) => call(service.apiUrl, key, method, path, body),
    async newWebhook(url, more = {}) {
      const body = { url, events: ['*'], ...more };
      const response = await account.call<{ webhook_id: string }>('POST', '/v1/webhooks', body);
      if (response.status !== 201) throw new Error(response.text);
      return response.body.webhook_id;
    },
    async publish(count, more = {}) {
      const ids: string[] = [];
      const event = {
        event: 'document.deleted',
        data: { document_id: 'doc_1', dataset_id: 'ds_1' },
        ...more,
      };
      for (let rest = count; rest > 0; rest -= 500) {
        const events = Array.from({ length: Math.min(rest, 500) }, () => event);
        const response = await account.call<{ data: { status: number; deliveries: { id: string }[] }[] }>(
          'POST',
          '/v1/events/batch',
          { events },
        );
        if (response.body.data.some(({ status }) => status !== 202)) throw new Error(response.text);
        ids.push(...response.body.data.flatMap(({ deliveries }) => deliveries.map(({ id }) => id)));
      }
      return ids;
    },
    recover: (webhookId, body) => account.call('POST', `/v1/webhooks/${webhookId}/recover`, body),
    async readRecovery(id) {
      const response = await account.call<Recovery>('GET', `/v1/recoveries/${id}`);
      if (response.status !== 200) throw new Error(response.text);
      return response.body;
    },
    waitForRecovery: (id, isDone, timeoutMs) => until(() => account.readRecovery(id), isDone, timeoutMs),
  };
  return account;
}

export async function countDeliveries(service: Service, accountId: string, status: string): Promise<number> {
  const { rows } = await service.pool.query<{ count: number }>(
    `select count(*)::int as count from deliveries where account_id = $1 and status = $2`,
    [accountId, status],
  );
  return rows[0]?.count ?? 0;
}

export const waitForDeliveries = (
  service: Service,
  accountId: string,
  status: string,
  count: number,
  timeoutMs?: number,
): Promise<number> =>
  until(
    () => countDeliveries(service, accountId, status),
    (found) => found === count,
    timeoutMs,
  );

/** A receiver that responds with the given status; it ends with the test. */
export async function receive(status = 200): Promise<Receiver & { respondWith(status: number): void }> {
  let current = status;
  const receiver = await startReceiver((_request, response) => {
    response.writeHead(current).end();
  });
  onTestFinished(() => receiver.close());
  return Object.assign(receiver, {
    respondWith(next: number) {
      current = next;
    },
  });
}
