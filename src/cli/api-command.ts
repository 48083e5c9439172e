import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { FltrWebhooks } from '../client/fltr-webhooks.ts';
import { readConfig } from '../config.ts';
import { notAllowed, wrongUse } from './exit-codes.ts';
import { printableJson, printableLines } from './printable.ts';
import { readServiceFile } from './service-file.ts';

export type ApiOptions = { apiUrl?: string; key?: string; json?: boolean };
type Connected = { client: FltrWebhooks; url: string };

/** A command that calls the API of a service that runs: here, or elsewhere. */
export function apiCommand(parent: Command, nameAndArguments: string): Command {
  return parent
    .command(nameAndArguments)
    .option('--api-url <url>', 'address of the service (FLTR_API_URL); left out: the one that runs here')
    .option(
      '--key <key>',
      'API key (FLTR_API_KEY); left out: the development key, where the service runs here',
    )
    .option('--json', 'print what the API answered, for programs');
}

/** The service that options or settings name, else the one whose data folder is here. @throws Error */
export async function connect(options: ApiOptions): Promise<Connected> {
  const { FLTR_API_URL, FLTR_API_KEY, FLTR_DATA_DIR, FLTR_DEV_KEY } = readConfig();
  const url = options.apiUrl ?? FLTR_API_URL ?? (await readServiceFile(FLTR_DATA_DIR))?.apiUrl;
  if (url === undefined) {
    throw wrongUse(
      `No service: name one with --api-url or FLTR_API_URL, or start one (\`npm start\`) in the folder that holds ${FLTR_DATA_DIR}.`,
    );
  }
  if (!URL.canParse(url)) throw wrongUse(`${url} is no URL: write it like http://localhost:3000.`);
  const isElsewhere = (options.apiUrl ?? FLTR_API_URL) !== undefined && !isThisMachine(url);
  const apiKey =
    options.key ??
    FLTR_API_KEY ??
    (isElsewhere ? undefined : (FLTR_DEV_KEY ?? (await keptKey(FLTR_DATA_DIR))));
  if (apiKey === undefined) {
    const why = isElsewhere ? ` The development key is sent to this machine only, not to ${url}.` : '';
    throw notAllowed(
      `No API key: give one with --key or FLTR_API_KEY. \`fltr-webhooks keys create\` makes one.${why}`,
    );
  }
  return { client: new FltrWebhooks({ url, apiKey }), url };
}

function isThisMachine(url: string): boolean {
  return ['localhost', '127.0.0.1', '[::1]'].includes(new URL(url).hostname);
}

async function keptKey(dataDir: string): Promise<string | undefined> {
  try {
    return (await readFile(join(dataDir, 'dev-key'), 'utf8')).trim();
  } catch {
    return undefined;
  }
}

/** A command about one thing, which is one call: what the API answers is printed. */
export function callFor<T>(
  command: Command,
  call: (client: FltrWebhooks, id: string) => Promise<T>,
  describe: (answer: T) => string,
): void {
  command.action(async (id: string, options: ApiOptions) => {
    const { client } = await connect(options);
    print(options, await call(client, id), describe);
  });
}

/** What the API answered as JSON, or what `describe` makes of it for people. */
export function print<T>({ json }: ApiOptions, answer: T, describe: (answer: T) => string): void {
  const text = json ? printableJson(answer, 2) : printableLines(describe(answer));
  if (text !== '') console.log(text);
}

/** A file's text, or standard input's for `-`. @throws Error */
export async function readText(path: string): Promise<Buffer> {
  if (path !== '-') {
    return readFile(path).catch((error: unknown) => {
      throw wrongUse(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
    });
  }
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks);
}
