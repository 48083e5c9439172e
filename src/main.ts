#!/usr/bin/env -S node --enable-source-maps
import { realpathSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import type { App, Role } from './app.ts';
import { addAccountCommands } from './cli/account-commands.ts';
import { addAccountsCommand } from './cli/accounts-command.ts';
import { addOutboxCommands } from './cli/outbox-commands.ts';
import { addPortalLinkCommands } from './cli/portal-link-commands.ts';
import { addAdminCommands, type WithDatabase } from './cli/admin-commands.ts';
import { banner } from './cli/banner.ts';
import { addCapacityCommand } from './cli/capacity-command.ts';
import { addCompletionCommand } from './cli/completion-command.ts';
import { addAuditCommands } from './cli/audit-commands.ts';
import { addDeliveryCommands } from './cli/delivery-commands.ts';
import { runDemo } from './cli/demo.ts';
import { addEventCommands } from './cli/event-commands.ts';
import { addEventTypeCommands } from './cli/event-type-commands.ts';
import { exitCodeOf, exitCodesHelp, wrongUse } from './cli/exit-codes.ts';
import { addListenCommand } from './cli/listen-command.ts';
import { addOperationCommands } from './cli/operation-commands.ts';
import { addRecoverCommands } from './cli/recover-commands.ts';
import { addReencryptCommand } from './cli/reencrypt-command.ts';
import { printableLines } from './cli/printable.ts';
import { readServiceFile, removeServiceFile, writeServiceFile } from './cli/service-file.ts';
import { table } from './cli/table.ts';
import { addOpenCommand } from './cli/open-command.ts';
import { addSearchCommand } from './cli/search-command.ts';
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
import { describeNode, machine } from './runtime.ts';
import { processesFor } from './supervisor/process-count.ts';
import { isTerminalClosed } from './supervisor/terminal.ts';

/** Runs a role until a signal: the first one stops everything in order, a second one immediately. */
async function serve(role: Role): Promise<void> {
  // Not loaded by the other commands.
  const { default: cluster } = await import('node:cluster');
  if (cluster.isWorker) {
    const { runServiceProcess } = await import('./supervisor/service-process.ts');
    return runServiceProcess();
  }
  const config = readConfig();
  const log = createLog(config.LOG_LEVEL);
  const report = (line: string) => console.error(line);
  for (const name of unknownSettings())
    report(`${name} is not a setting of fltr-webhooks. See \`fltr-webhooks config\`.`);
  const nodeNotice = describeNode(process.versions.node);
  if (nodeNotice !== null) report(nodeNotice);
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
    report(`${signal}: stopping (send it again to stop immediately) …`);
    stopping = stop(0);
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  const onFatal = (error: Error): void => {
    log.fatal({ err: error }, 'the service cannot continue');
    stopping ??= stop(1);
  };

  const processes = role === 'up' ? (config.FLTR_PROCESSES ?? processesFor(machine())) : 1;
  const options = { config, log, report, onFatal };
  if (processes > 1) {
    const { startSupervisor } = await import('./supervisor/supervisor.ts');
    const supervised = await startSupervisor({ ...options, processes });
    process.on('SIGHUP', (signal) => (isTerminalClosed() ? onSignal(signal) : void supervised.restart()));
    app = supervised;
  } else {
    // Loaded here because it takes a second, and no other command needs it.
    const { startApp } = await import('./app.ts');
    app = await startApp({ ...options, role });
  }
  const { apiUrl, databaseUrl } = app;
  if (role === 'up' && apiUrl !== null && config.FLTR_ENV === 'development') {
    if (app.hasEmbedded) writeServiceFile(config.FLTR_DATA_DIR, { pid: process.pid, apiUrl, databaseUrl });
    console.log(banner(app));
  } else {
    log.info({ role, api: apiUrl, temporal: app.temporalAddress }, 'ready');
  }
}

/** Uses the configured database, otherwise that of the service running from the data folder. */
const withDatabase: WithDatabase = async (run) => {
  const config = readConfig();
  const { DATABASE_URL, FLTR_DATA_DIR } = config;
  const databaseUrl = DATABASE_URL ?? readServiceFile(FLTR_DATA_DIR)?.databaseUrl;
  if (databaseUrl === undefined) {
    throw wrongUse(
      `No database found. Set DATABASE_URL, or start the service (\`npm start\`) in the folder that contains ${FLTR_DATA_DIR}.`,
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
  .description('Sends webhooks; every delivery is a Temporal workflow. Without a command, runs `up`.')
  .version(packageVersion)
  .addHelpText('after', exitCodesHelp)
  // Set before the commands are created, which inherit it.
  .exitOverride();
const roles: Record<Role, string> = {
  up: 'run the whole service; starts PostgreSQL and Temporal if none is configured',
  api: 'run only the API and the dashboard',
  worker: 'run only a worker',
};
for (const [role, description] of Object.entries(roles))
  program
    .command(role)
    .description(description)
    .action(() => serve(role as Role));
program
  .command('migrate')
  .description('migrate the database to the current schema')
  .action(() =>
    withDatabase(async (pool) => {
      const applied = await migrate(pool);
      console.log(applied.length === 0 ? 'The database is up to date.' : `Applied ${applied.join(', ')}.`);
    }),
  );
program
  .command('config')
  .description('list all settings with default and meaning')
  .action(() => {
    readConfig();
    const rows = settingsTable();
    console.log(
      table(rows.map((row) => ({ name: row.name, default: row.default || '(unset)', meaning: row.meaning }))),
    );
  });
addAdminCommands(program, withDatabase);
addReencryptCommand(program, withDatabase);
addOutboxCommands(program, withDatabase);
addCapacityCommand(program);
addAccountCommands(program);
addAccountsCommand(program);
addPortalLinkCommands(program);
addWebhookCommands(program);
addEventCommands(program);
addEventTypeCommands(program);
addDeliveryCommands(program);
addTailCommand(program);
addOpenCommand(program);
addSearchCommand(program);
addListenCommand(program);
addRecoverCommands(program);
addOperationCommands(program);
addAuditCommands(program);
addVerifyCommand(program);
addCompletionCommand(program);
program
  .command('demo')
  .description('run the service in a temporary folder and deliver seven events to three test receivers')
  .action(async () => {
    process.exitCode = await runDemo(import.meta.filename);
  });

/** Runs a command. Returns the exit code if it failed; null if it succeeded or keeps serving. */
export async function runCommand(args: readonly string[]): Promise<number | null> {
  try {
    // Not commander's default command: that would take a mistyped command for an argument.
    await program.parseAsync(args.length === 0 ? ['up'] : args, { from: 'user' });
    return null;
  } catch (error) {
    // Commander has already printed it.
    if (error instanceof CommanderError) return exitCodeOf(error);
    // Expected errors explain themselves in their message; a stack is printed for bugs.
    const isExpected = error instanceof StartError || error instanceof FltrWebhooksError;
    const isBug = !(error instanceof Error) || (error.constructor !== Error && !isExpected);
    console.error(describeDatabaseFault(error) ?? (isBug ? error : printableLines(error.message)));
    return exitCodeOf(error);
  }
}

// Not when imported by tests. npm runs it through a symbolic link.
if (realpathSync(process.argv[1] ?? '.') === import.meta.filename) {
  const code = await runCommand(process.argv.slice(2));
  if (code !== null) process.exit(code);
}
