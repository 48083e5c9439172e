import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { FltrWebhooks } from '../client/fltr-webhooks.ts';
import { indentJson } from '../client/raw-json.ts';
import { readConfig } from '../config.ts';
import { notAllowed, wrongUse } from './exit-codes.ts';
import { printableJson, printableLines } from './printable.ts';
import { readServiceFile } from './service-file.ts';

export type ApiOptions = { apiUrl?: string; key?: string; json?: boolean };
type Connection = { client: FltrWebhooks; url: string };

/** Adds a command that calls the API of a running service, with the options for its address and key. */
export function apiCommand(parent: Command, nameAndArguments: string): Command {
  return parent
    .command(nameAndArguments)
    .option(
      '--api-url <url>',
      'address of the service (FLTR_API_URL; default: the service running from this data folder)',
    )
    .option('--key <key>', 'API key (FLTR_API_KEY; default: the development key, on this machine)')
    .option('--json', 'print the API response as JSON');
}

/** Connects to the service of the options or settings, otherwise to the one running from the data folder. @throws Error */
export async function connect(options: ApiOptions): Promise<Connection> {
  const { FLTR_API_URL, FLTR_API_KEY, FLTR_DATA_DIR, FLTR_DEV_KEY } = readConfig();
  const url = options.apiUrl ?? FLTR_API_URL ?? (await readServiceFile(FLTR_DATA_DIR))?.apiUrl;
  if (url === undefined) {
    throw wrongUse(
      `No service found. Set --api-url or FLTR_API_URL, or start the service (\`npm start\`) in the folder that contains ${FLTR_DATA_DIR}.`,
    );
  }
  if (!URL.canParse(url)) throw wrongUse(`${url} is not a URL such as http://localhost:3000.`);
  const isRemote = (options.apiUrl ?? FLTR_API_URL) !== undefined && !isThisMachine(url);
  const apiKey =
    options.key ??
    FLTR_API_KEY ??
    (isRemote ? undefined : (FLTR_DEV_KEY ?? (await readDevelopmentKey(FLTR_DATA_DIR))));
  if (apiKey === undefined) {
    const why = isRemote ? ` The development key is only sent to this machine, not to ${url}.` : '';
    throw notAllowed(
      `No API key. Set --key or FLTR_API_KEY; \`fltr-webhooks keys create\` creates a key.${why}`,
    );
  }
  return { client: new FltrWebhooks({ url, apiKey }), url };
}

function isThisMachine(url: string): boolean {
  return ['localhost', '127.0.0.1', '[::1]'].includes(new URL(url).hostname);
}

async function readDevelopmentKey(dataDir: string): Promise<string | undefined> {
  try {
    return (await readFile(join(dataDir, 'dev-key'), 'utf8')).trim();
  } catch {
    return undefined;
  }
}

/** Sets the action of a command with an id: one API call, whose response is printed. */
export function callAndPrint<T>(
  command: Command,
  call: (client: FltrWebhooks, id: string) => Promise<T>,
  describe: (response: T) => string,
): void {
  command.action(async (id: string, options: ApiOptions) => {
    const { client } = await connect(options);
    print(options, await call(client, id), describe);
  });
}

/** Prints a response as JSON or as text. */
export function print<T>({ json }: ApiOptions, response: T, describe: (response: T) => string): void {
  const text = json ? indentJson(printableJson(response)) : printableLines(describe(response));
  if (text !== '') console.log(text);
}

/** Reads a file, or standard input for `-`. @throws Error */
export async function readText(path: string): Promise<Buffer> {
  if (path !== '-') {
    return readFile(path).catch((error: unknown) => {
      throw wrongUse(`Cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`);
    });
  }
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks);
}
