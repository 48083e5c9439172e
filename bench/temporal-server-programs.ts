import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { childEnvironment } from '../src/config.ts';
import { userCacheDir } from '../src/embedded/find-temporal.ts';
import { goInstall } from '../src/embedded/go-install.ts';
import { EXE, runBounded, which } from '../src/embedded/programs.ts';

export type ServerPrograms = { server: string; sqlTool: string };
type Options = { env: NodeJS.ProcessEnv; report: (line: string) => void };

const SERVER_VERSION = '1.31.2';
const VERSION_TIMEOUT_MS = 10_000;
const names = { server: 'temporal-server', sqlTool: 'temporal-sql-tool' };

/** Temporal's server and schema tool: both on PATH, both in the user's cache folder, or built with Go into that folder. */
export async function findServerPrograms({ env, report }: Options): Promise<ServerPrograms> {
  const onPath = { server: which(names.server, env), sqlTool: which(names.sqlTool, env) };
  if (onPath.server !== undefined && onPath.sqlTool !== undefined) {
    const version = await versionOf(onPath.server, env);
    await versionOf(onPath.sqlTool, env);
    report(`Temporal: ${onPath.server}, ${version}`);
    return { server: onPath.server, sqlTool: onPath.sqlTool };
  }
  const folder = join(userCacheDir(env, process.platform), `temporal-server-${SERVER_VERSION}`);
  const cached = {
    server: join(folder, `${names.server}${EXE}`),
    sqlTool: join(folder, `${names.sqlTool}${EXE}`),
  };
  if (!existsSync(cached.server) || !existsSync(cached.sqlTool)) {
    const check = (file: string) => versionOf(file, env);
    await goInstall({
      module: 'go.temporal.io/server',
      version: SERVER_VERSION,
      programs: [
        { package: 'cmd/server', installPath: cached.server, check },
        { package: 'cmd/tools/sql', installPath: cached.sqlTool, check },
      ],
      env,
      report,
      reason: 'its server and schema tool are built from the Go module',
    });
  }
  await versionOf(cached.server, env);
  await versionOf(cached.sqlTool, env);
  return cached;
}

async function versionOf(executable: string, env: NodeJS.ProcessEnv): Promise<string> {
  const { stdout } = await runBounded(executable, ['--version'], env, VERSION_TIMEOUT_MS);
  const version = stdout.trim();
  // `go install` names them `server` and `sql`; each says the name of its file.
  if (!/version \d+\.\d+\.\d+/.test(version)) throw new Error(`${executable} is not Temporal's: ${version}`);
  return version;
}

// Before the tests rather than among them: a build takes every core for minutes.
if (process.argv[1] === import.meta.filename) {
  const report = (line: string): void => void process.stdout.write(`${line}\n`);
  await findServerPrograms({ env: childEnvironment(), report });
}
