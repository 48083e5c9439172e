#!/usr/bin/env -S node --enable-source-maps
import { realpathSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import type { App, Role } from './app.ts';
import { addAccountCommands } from './cli/account-commands.ts';
import { addAdminCommands, type WithDatabase } from './cli/admin-commands.ts';
import { banner } from './cli/banner.ts';
import { addCapacityCommand } from './cli/capacity-command.ts';
import { addCompletionCommand } from './cli/completion-command.ts';
import { addDeliveryCommands } from './cli/delivery-commands.ts';
import { runDemo } from './cli/demo.ts';
import { addEventCommands } from './cli/event-commands.ts';
import { exitCodeOf, exitCodesHelp, wrongUse } from './cli/exit-codes.ts';
import { addListenCommand } from './cli/listen-command.ts';
import { addRecoverCommands } from './cli/recover-commands.ts';
import { addReencryptCommand } from './cli/reencrypt-command.ts';
import { printableLines } from './cli/printable.ts';
import { readServiceFile, removeServiceFile, writeServiceFile } from './cli/service-file.ts';
import { table } from './cli/table.ts';
import { addTailCommand } from './cli/tail-command.ts';
import { addVerifyCommand } from './cli/verify-command.ts';
import { addWebhookCommands } from './cli/webhook-commands.ts';
import { FltrWebhooksError } from './client/request.ts';
import { readConfig, settingsTable, unknownSettings } from './config.ts';
import { checkSessions } from './db/check-sessions.ts';
import { describeDatabaseFault } from './db/describe-fault.ts';
import { migrate } from './db/migrate.ts';
import { createPool } from './db/pool.ts';
import { StartError } from './errors.ts';
import { createLog } from './observability/log.ts';
import { packageVersion } from './package-root.ts';
import { describeNode } from './runtime.ts';

/** Starts a role and stays until a signal: the first one stops everything in order, a second one at once. */
async function serve(role: Role): Promise<void> {
  const config = readConfig();
  const log = createLog(config.LOG_LEVEL);
  const report = (line: string) => console.error(line);
  for (const name of unknownSettings())
    report(`${name} is no setting of fltr-webhooks: see \`fltr-webhooks config\`.`);
  const aboutNode = describeNode(process.versions.node);
  if (aboutNode !== null) report(aboutNode);
  let app: App | null = null;
  let stopping: Promise<void> | null = null;
  const stop = async (code: number): Promise<void> => {
    if (app?.hasEmbedded) await removeServiceFile(config.FLTR_DATA_DIR);
    await app?.stop();
    process.exit(code);
  };
  let firstSignalAt = 0;
  const onSignal = (signal: NodeJS.Signals): void => {
    // Ctrl-C under npm comes twice at once: from the terminal, and passed on by npm.
    if (stopping && Date.now() - firstSignalAt < 300) return;
    firstSignalAt = Date.now();
    if (stopping || !app) {
      app?.kill();
      process.exit(signal === 'SIGINT' ? 130 : 143);
    }
    report(`${signal}: stopping (a second one stops at once) …`);
    stopping = stop(0);
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  const onFatal = (error: Error): void => {
    log.fatal({ err: error }, 'the service cannot go on');
    stopping ??= stop(1);
  };

  // Only here: Temporal's libraries take a second to load, which no other command needs.
  const { startApp } = await import('./app.ts');
  app = await startApp({ config, role, log, report, onFatal });
  const { apiUrl, databaseUrl } = app;
  if (role === 'up' && apiUrl !== null && config.FLTR_ENV === 'development') {
    if (app.hasEmbedded)
      await writeServiceFile(config.FLTR_DATA_DIR, { pid: process.pid, apiUrl, databaseUrl });
    console.log(banner(app));
  } else {
    log.info({ role, api: apiUrl, temporal: app.temporalAddress }, 'ready');
  }
}

/** The configured database, or the one that a running `up` keeps in the data folder. */
const withDatabase: WithDatabase = async (run) => {
  const config = readConfig();
  const { DATABASE_URL, FLTR_DATA_DIR } = config;
  const databaseUrl = DATABASE_URL ?? (await readServiceFile(FLTR_DATA_DIR))?.databaseUrl;
  if (databaseUrl === undefined) {
    throw wrongUse(
      `No database: set DATABASE_URL, or start the service (\`npm start\`) in the folder that holds ${FLTR_DATA_DIR}.`,
    );
  }
  const pool = createPool({ databaseUrl, maxConnections: 2, onError: () => undefined });
  try {
    await checkSessions(pool);
    await run(pool, config);
  } finally {
    await pool.end();
  }
};

const program = new Command('fltr-webhooks')
  .description('Sends webhooks; every delivery is a Temporal workflow. Without a command: up.')
  .version(packageVersion)
  .addHelpText('after', exitCodesHelp)
  // Before the commands are made, which take it over.
  .exitOverride();
program
  .command('up')
  .description('the whole service; starts PostgreSQL and Temporal too where none is configured')
  .action(() => serve('up'));
program
  .command('api')
  .description('the API alone')
  .action(() => serve('api'));
program
  .command('worker')
  .description('a worker alone')
  .action(() => serve('worker'));
program
  .command('migrate')
  .description('bring the database up to date')
  .action(() =>
    withDatabase(async (pool) => {
      const applied = await migrate(pool);
      console.log(applied.length === 0 ? 'The database is up to date.' : `Applied ${applied.join(', ')}.`);
    }),
  );
program
  .command('config')
  .description('every setting: name, default, meaning')
  .action(() => {
    readConfig();
    console.log(
      table(
        settingsTable().map(({ name, meaning, ...row }) => ({
          name,
          default: row.default || '(unset)',
          meaning,
        })),
      ),
    );
  });
addAdminCommands(program, withDatabase);
addReencryptCommand(program, withDatabase);
addCapacityCommand(program);
addAccountCommands(program);
addWebhookCommands(program);
addEventCommands(program);
addDeliveryCommands(program);
addTailCommand(program);
addListenCommand(program);
addRecoverCommands(program);
addVerifyCommand(program);
addCompletionCommand(program);
program
  .command('demo')
  .description('start everything in a temporary folder and watch seven events being delivered')
  .action(async () => {
    process.exitCode = await runDemo(import.meta.filename);
  });

/** Runs a command. Returns the exit code of one that failed; null: it is done, or serves on. */
export async function runCommand(args: readonly string[]): Promise<number | null> {
  try {
    // Not as commander's default command: that one would take a mistyped command for its argument.
    await program.parseAsync(args.length === 0 ? ['up'] : args, { from: 'user' });
    return null;
  } catch (error) {
    // Commander has said it.
    if (error instanceof CommanderError) return exitCodeOf(error);
    // A fault that a person can fix says so in its message; a stack shows a fault of ours.
    const isSaid = error instanceof StartError || error instanceof FltrWebhooksError;
    const isOurs = !(error instanceof Error) || (error.constructor !== Error && !isSaid);
    console.error(describeDatabaseFault(error) ?? (isOurs ? error : printableLines(error.message)));
    return exitCodeOf(error);
  }
}

// Imported by tests, it runs nothing; npm starts it by a symbolic link.
if (realpathSync(process.argv[1] ?? '.') === import.meta.filename) {
  const code = await runCommand(process.argv.slice(2));
  if (code !== null) process.exit(code);
}
