import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { reservePort } from '../../bench/reserve-port.ts';
import { isListening } from './listening.ts';
import { until } from './service.ts';

export type PgBouncer = {
  /** The database's address through it. */
  url: string;
  close(): Promise<void>;
};

/** A real PgBouncer before a database; `settings` are its own, beside those that it needs to run here. */
export async function startPgBouncer(
  databaseUrl: string,
  settings: Record<string, string>,
): Promise<PgBouncer> {
  const folder = mkdtempSync(join(tmpdir(), 'fltr-pgbouncer-'));
  const port = await reservePort();
  const { hostname, port: serverPort, username, password, pathname } = new URL(databaseUrl);
  const all = {
    listen_addr: '127.0.0.1',
    listen_port: String(port),
    unix_socket_dir: '',
    auth_type: 'any',
    default_pool_size: '50',
    ...settings,
  };
  const file = join(folder, 'pgbouncer.ini');
  writeFileSync(
    file,
    [
      '[databases]',
      `* = host=${hostname} port=${serverPort} user=${username} password=${password}`,
      '[pgbouncer]',
      ...Object.entries(all).map(([name, value]) => `${name} = ${value}`),
    ].join('\n'),
  );
  // Root is refused: it becomes a user that must be able to read the file with any umask.
  chmodSync(folder, 0o755);
  chmodSync(file, 0o644);
  const asUser = process.getuid?.() === 0 ? ['-u', 'nobody'] : [];
  const child = spawn('pgbouncer', [...asUser, file], {
    stdio: ['ignore', 'ignore', 'pipe'],
    // Where Debian has it, and not every user looks.
    env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` },
  });
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const failed = new Promise<never>((_resolve, reject) => {
    child.once('error', (error) =>
      reject(new Error(`Install PgBouncer (Debian: apt-get install pgbouncer): ${error.message}`)),
    );
    child.once('exit', () => reject(new Error(`PgBouncer ended:\n${output}`)));
  });
  failed.catch(() => undefined);
  await Promise.race([failed, until(() => isListening(port), Boolean)]);
  return {
    url: `postgres://${username}@127.0.0.1:${port}${pathname}`,
    async close() {
      const exited = child.exitCode === null ? once(child, 'exit') : null;
      child.kill('SIGKILL');
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
