import { createReadStream } from 'node:fs';
import type { Command } from 'commander';
import type { FltrWebhooks } from '../client/fltr-webhooks.ts';
import { FltrWebhooksError } from '../client/request.ts';
import { externalIdSchema } from '../contracts/external-id.ts';
import { apiCommand, connect, print, type ApiOptions } from './api-command.ts';
import { wrongUse } from './exit-codes.ts';
import { printable } from './printable.ts';
import { readLines } from './read-lines.ts';

type Put = Parameters<FltrWebhooks['putWebhook']>[1];
type Counts = { created: number; replaced: number; refused: number };

/** The largest body that the API accepts. */
const maxLineBytes = 64 * 1024;

/** Errors of one webhook. Any other error would refuse the next line, too. */
const ofOneLine = [400, 404, 409, 413, 422];

/**
 * `webhooks import`: creates or replaces the webhooks of a file, by their external ids. So it can be repeated. After
 * a refused line, it continues with the next one. It keeps one line in memory at a time.
 */
export function addImportWebhooksCommand(webhooks: Command): void {
  apiCommand(
    webhooks,
    'import <file>',
    'create or replace the webhooks of a file, one JSON object per line: {"external_id": …, "url": …, "events": …, "secret"?: …}; - reads standard input; exit code 1 if any is refused',
  ).action(async (file: string, options: ApiOptions) => {
    const { client } = await connect(options);
    const counts: Counts = { created: 0, replaced: 0, refused: 0 };
    for await (const { number, bytes } of readLines(open(file), maxLineBytes)) {
      if (bytes?.toString().trim() === '') continue;
      try {
        counts[await importLine(client, bytes)] += 1;
      } catch (error) {
        if (!(error instanceof LineFault)) {
          console.error(
            `Stopped at line ${number}: ${countsText(counts)} Run the same command again to continue.`,
          );
          throw error;
        }
        counts.refused += 1;
        console.error(printable(`Line ${number}${error.of}: ${error.message}`));
      }
    }
    print(options, counts, countsText);
    if (counts.refused > 0) process.exitCode = 1;
  });
}

/** @throws Error where the file cannot be read */
async function* open(file: string): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield* (file === '-' ? process.stdin : createReadStream(file)) as AsyncIterable<Buffer>;
  } catch (error) {
    throw wrongUse(`Cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Why a line is refused. */
class LineFault extends Error {
  /** Of which webhook, where that is known. */
  readonly of: string;

  constructor(message: string, externalId?: string) {
    super(message);
    this.of = externalId === undefined ? '' : ` (${externalId})`;
  }
}

/** @throws LineFault */
async function importLine(client: FltrWebhooks, bytes: Buffer | null): Promise<'created' | 'replaced'> {
  if (bytes === null) throw new LineFault(`It is longer than ${maxLineBytes / 1024} KiB.`);
  const { external_id: given, ...webhook } = parse(bytes);
  const externalId = toExternalId(given);
  try {
    // The API checks the rest.
    const { secret } = await client.putWebhook(externalId, webhook as unknown as Put);
    return secret === undefined ? 'replaced' : 'created';
  } catch (error) {
    if (error instanceof FltrWebhooksError && ofOneLine.includes(error.status))
      throw new LineFault(error.message, externalId);
    throw error;
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function parse(bytes: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(utf8.decode(bytes));
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch {
    // Reported below, without the line, which may hold a secret.
  }
  throw new LineFault('It is not a JSON object.');
}

function toExternalId(given: unknown): string {
  if (typeof given !== 'string')
    throw new LineFault(`external_id ${given === undefined ? 'is missing' : 'must be text'}.`);
  const { error, data } = externalIdSchema.safeParse(given);
  if (error) throw new LineFault(`external_id ${error.issues[0]?.message}.`);
  return data;
}

const countsText = ({ created, replaced, refused }: Counts): string =>
  `${created} created, ${replaced} replaced, ${refused} refused.`;
