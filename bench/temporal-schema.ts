import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { runBounded } from '../src/embedded/programs.ts';
import { packageRoot } from '../src/package-root.ts';
import { temporalSettings } from './temporal-server-config.ts';

type Options = { sqlTool: string; databaseUrl: string; env: NodeJS.ProcessEnv };
export type Schema = 'temporal' | 'visibility';

const SCHEMA_TIMEOUT_MS = 120_000;

/** Makes Temporal's two databases where they are missing, and brings their schemas up to date. */
export async function prepareDatabases(options: Options): Promise<void> {
  const { DBNAME, VISIBILITY_DBNAME } = temporalSettings;
  for (const name of [DBNAME, VISIBILITY_DBNAME]) await createDatabase(options.databaseUrl, name);
  await updateSchema(options, 'temporal', DBNAME);
  await updateSchema(options, 'visibility', VISIBILITY_DBNAME);
}

/** `name` is a plain word: no quoting. */
export async function createDatabase(databaseUrl: string, name: string): Promise<void> {
  await withClient(databaseUrl, async (client) => {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [name]);
    if (rowCount === 0) await client.query(`create database ${name}`);
  });
}

/** From nothing, or from an older version; `version`: not up to the newest, but to that one. */
export async function updateSchema(
  { sqlTool, databaseUrl, env }: Options,
  schema: Schema,
  database: string,
  version?: string,
): Promise<void> {
  const { hostname, port, username, password } = new URL(databaseUrl);
  // Not as arguments: those can be read by every user of the machine.
  const toolEnv = {
    ...env,
    SQL_PLUGIN: temporalSettings.DB,
    SQL_HOST: hostname,
    SQL_PORT: port || '5432',
    SQL_USER: decodeURIComponent(username),
    SQL_PASSWORD: decodeURIComponent(password),
    SQL_DATABASE: database,
  };
  const tool = (...args: string[]) => runBounded(sqlTool, args, toolEnv, SCHEMA_TIMEOUT_MS);
  // Makes the tables of versions; does nothing where they are.
  await tool('setup-schema', '--version', '0.0');
  await tool(
    'update-schema',
    '--schema-name',
    `postgresql/v12/${schema}`,
    ...(version === undefined ? [] : ['--version', version]),
  );
}

/**
 * Runs one of the operators' files of docs/temporal in the visibility database, as psql does it: `\gexec` runs each row
 * that the query before it returned. `columns`: for lean, those of custom attributes that are in use.
 */
export async function runVisibilityFile(
  name: 'lean' | 'full',
  databaseUrl: string,
  {
    database = temporalSettings.VISIBILITY_DBNAME,
    columns = [],
  }: { database?: string; columns?: string[] } = {},
): Promise<void> {
  const file = readFileSync(join(packageRoot, `docs/temporal/visibility-${name}.sql`), 'utf8');
  const use = async (client: pg.Client): Promise<void> => {
    for (const part of file.split(/^\\gexec$/m).slice(0, -1)) {
      // For several statements, pg returns a list of results.
      const results: unknown = await client.query({ text: part, rowMode: 'array' });
      const { rows } = [results].flat().at(-1) as { rows: [string][] };
      for (const [statement] of rows) await client.query(statement);
    }
  };
  await withClient(urlOf(databaseUrl, database), use, `-c fltr.columns=${columns.join(',')}`);
}

export function urlOf(databaseUrl: string, database: string): string {
  const url = new URL(databaseUrl);
  url.pathname = `/${database}`;
  return url.href;
}

async function withClient(
  databaseUrl: string,
  use: (client: pg.Client) => Promise<unknown>,
  options?: string,
): Promise<void> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    ...(options === undefined ? {} : { options }),
  });
  // Without a listener, a lost connection would end the process.
  client.on('error', () => undefined);
  await client.connect();
  try {
    await use(client);
  } finally {
    await client.end();
  }
}
