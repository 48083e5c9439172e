import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { FltrWebhooks } from '../client/fltr-webhooks.ts';
import { everyItem, type Page, type PageQuery } from '../client/pages.ts';
import { indentJson } from '../client/raw-json.ts';
import type { ClientOptions } from '../client/request.ts';
import { readConfig } from '../config.ts';
import { notAllowed, wrongUse } from './exit-codes.ts';
import { printableJson, printableLines } from './printable.ts';
import { readServiceFile } from './service-file.ts';

export type ApiOptions = { apiUrl?: string; key?: string; account?: string; json?: boolean };
type Connection = { client: FltrWebhooks; url: string; options: ClientOptions };

/** Adds a command that calls the API of a running service, with the options for its address and key. */
export function apiCommand(parent: Command, nameAndArguments: string, description: string): Command {
  return parent
    .command(nameAndArguments)
    .description(description)
    .option(
      '--api-url <url>',
      'address of the service (FLTR_API_URL; default: the service running from this data folder)',
    )
    .option('--key <key>', 'API key (FLTR_API_KEY; default: the development key, on this machine)')
    .option('--account <id>', 'with a service key: the account to act for')
    .option('--json', 'print the API response as JSON');
}

/** Connects to the service of the options or settings, otherwise to the one running from the data folder. @throws Error */
export async function connect(options: ApiOptions): Promise<Connection> {
  const { FLTR_API_URL, FLTR_API_KEY, FLTR_DATA_DIR, FLTR_DEV_KEY } = readConfig();
  const url = options.apiUrl ?? FLTR_API_URL ?? readServiceFile(FLTR_DATA_DIR)?.apiUrl;
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
  const clientOptions = { url, apiKey, account: options.account };
  return { client: new FltrWebhooks(clientOptions), url, options: clientOptions };
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

/**
 * The action of a command that makes API calls and prints the response.
 *
 * @param call gets the command's arguments, then its options
 * @param isFailure whether the exit code is 1
 */
export function callAndPrint<Args extends unknown[], T>(
  call: (client: FltrWebhooks, ...args: Args) => Promise<T>,
  describe: (response: T) => string,
  isFailure: (response: T) => boolean = () => false,
): (...args: unknown[]) => Promise<void> {
  return async (...args) => {
    const options = args.at(-2) as ApiOptions;
    const { client } = await connect(options);
    const response = await call(client, ...(args.slice(0, -1) as Args));
    print(options, response, describe);
    if (isFailure(response)) process.exitCode = 1;
  };
}

export async function listAll<Item>(list: (page: PageQuery) => Promise<Page<Item>>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of everyItem((page) => list({ limit: 100, ...page }))) all.push(item);
  return all;
}

/** Without the values that were not given. */
export function given<T extends object>(values: T): { [Name in keyof T]?: Exclude<T[Name], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T;
}

/** Prints a response as JSON or as text. */
export function print<T>({ json }: ApiOptions, response: T, describe: (response: T) => string): void {
  const text = json ? indentJson(printableJson(response)) : printableLines(describe(response));
  if (text !== '') console.log(text);
}

/** The value of an option; `@path` reads a file, `@-` standard input, without white space around it. @throws Error */
export async function readValue(value: string): Promise<string> {
  return value.startsWith('@') ? (await readText(value.slice(1))).toString().trim() : value;
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
