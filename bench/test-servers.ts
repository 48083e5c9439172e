import { startTestServers } from './start-test-servers.ts';

// Servers for single test runs, until Ctrl-C: starting them takes longer than most tests do.
const fail = (error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
};
const servers = await startTestServers(fail);
process.stdout.write(`export FLTR_TEST_DATABASE_URL='${servers.databaseUrl}'\n`);
process.stdout.write(`export FLTR_TEST_TEMPORAL_ADDRESS='${servers.temporalAddress}'\n`);
process.once('SIGINT', () => void servers.stop().then(() => process.exit(0), fail));
