import { JsonText } from '../client/raw-json.ts';
import { readValue } from './api-command.ts';
import { wrongUse } from './exit-codes.ts';

/** The value of `--data`, as it is written. @throws Error where it is not JSON */
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

export const collectLabel = (label: string, collected: string[] = []): string[] => [...collected, label];
