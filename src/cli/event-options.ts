import type { Command } from 'commander';
import { JsonText } from '../client/raw-json.ts';
import { given, readValue } from './api-command.ts';
import { wrongUse } from './exit-codes.ts';

/** The value of `--data`, unchanged. @throws Error where it is not JSON */
export async function readData(text: string): Promise<JsonText> {
  return readJson('--data', text);
}

/** @throws Error where it is not JSON */
export async function readJson(option: string, text: string): Promise<JsonText> {
  const json = await readValue(text);
  try {
    JSON.parse(json);
    return new JsonText(json);
  } catch (error) {
    throw wrongUse(`${option} is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

export const collect = (value: string, collected: string[] = []): string[] => [...collected, value];

export type PublishOptions = {
  webhookId?: string[];
  deliverAt?: string;
  expiresAt?: string;
  orderKey?: string;
};

/** How events are to be delivered. */
export const withPublishOptions = (command: Command): Command =>
  command
    .option('--webhook-id <id>', 'only for this webhook; repeat it for more', collect)
    .option('--deliver-at <time>', 'make the first attempt then, such as 2026-01-10T12:00:00Z')
    .option('--expires-at <time>', 'a delivery that is not delivered by then fails')
    .option('--order-key <key>', 'webhooks with ordering get the events of one key one after the other');

export const toPublishOptions = ({ webhookId, deliverAt, expiresAt, orderKey }: PublishOptions) =>
  given({ webhook_ids: webhookId, deliver_at: deliverAt, expires_at: expiresAt, order_key: orderKey });
