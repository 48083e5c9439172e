import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbedded } from '../src/embedded/embedded.ts';
import { searchAttributes } from '../workflows/contract.ts';

// Servers for single test runs, until Ctrl-C: starting them takes longer than most tests do.
const dataDir = mkdtempSync(join(tmpdir(), 'fltr-test-servers-'));
const fail = (error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
};
const embedded = await startEmbedded({
  dataDir,
  env: process.env,
  needsPostgres: true,
  needsTemporal: true,
  namespace: 'default',
  searchAttributes,
  report: (line) => void process.stderr.write(`${line}\n`),
  onFatal: fail,
});
process.stdout.write(`export FLTR_TEST_DATABASE_URL='${embedded.databaseUrl}'\n`);
process.stdout.write(`export FLTR_TEST_TEMPORAL_ADDRESS='${embedded.temporalAddress}'\n`);
process.once('SIGINT', () => {
  void embedded.stop().then(() => {
    rmSync(dataDir, { recursive: true, force: true });
    process.exit(0);
  }, fail);
});
