import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dynamicConfig } from '../src/embedded/temporal.ts';

/** Temporal's settings in docker-compose.yml, by the same names. test/unit/compose.test.ts checks that both are the same. */
export const temporalSettings = {
  DB: 'postgres12_pgx',
  DBNAME: 'temporal',
  VISIBILITY_DBNAME: 'temporal_visibility',
  /** Can never be changed once the database is made. */
  NUM_HISTORY_SHARDS: '4',
  SQL_MAX_CONNS: '20',
  SQL_MAX_IDLE_CONNS: '20',
  SQL_VIS_MAX_CONNS: '5',
  SQL_VIS_MAX_IDLE_CONNS: '5',
  LOG_LEVEL: 'warn',
  GOGC: '400',
  GOMEMLIMIT: '1GiB',
} as const;

export const services = ['frontend', 'history', 'matching', 'worker'] as const;
export type ServicePorts = Record<(typeof services)[number], { grpc: number; membership: number }>;

const HOST = '127.0.0.1';
const settings = temporalSettings;

/**
 * Writes the server's configuration into the folder and returns the arguments that make the server read it. The files
 * are JSON, which is YAML too. 1.29 has `--root` and the like; in later versions they are deprecated.
 */
export function writeServerConfig(folder: string, databaseUrl: string, ports: ServicePorts): string[] {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const write = (name: string, content: unknown) =>
    writeFileSync(join(folder, name), `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 });
  write(
    'dynamic.yaml',
    Object.fromEntries(Object.entries(dynamicConfig).map(([name, value]) => [name, [{ value }]])),
  );
  write('server.yaml', serverConfig(databaseUrl, ports, join(folder, 'dynamic.yaml')));
  return ['--root', folder, '--config', '.', '--env', 'server', '--allow-no-auth', 'start'];
}

function serverConfig(databaseUrl: string, ports: ServicePorts, dynamicConfigFile: string) {
  const { hostname, port, username, password } = new URL(databaseUrl);
  const store = (databaseName: string, maxConns: string, maxIdleConns: string) => ({
    sql: {
      pluginName: settings.DB,
      databaseName,
      connectAddr: `${hostname}:${port || '5432'}`,
      connectProtocol: 'tcp',
      user: decodeURIComponent(username),
      password: decodeURIComponent(password),
      maxConns: Number(maxConns),
      maxIdleConns: Number(maxIdleConns),
      maxConnLifetime: '1h',
    },
  });
  const rpc = ({ grpc, membership }: ServicePorts['worker']) => ({
    rpc: { grpcPort: grpc, membershipPort: membership, bindOnIP: HOST },
  });
  const frontendAddress = `${HOST}:${ports.frontend.grpc}`;
  const noArchival = { state: 'disabled' };
  return {
    log: { stdout: true, level: settings.LOG_LEVEL },
    persistence: {
      defaultStore: 'default',
      visibilityStore: 'visibility',
      numHistoryShards: Number(settings.NUM_HISTORY_SHARDS),
      datastores: {
        default: store(settings.DBNAME, settings.SQL_MAX_CONNS, settings.SQL_MAX_IDLE_CONNS),
        visibility: store(
          settings.VISIBILITY_DBNAME,
          settings.SQL_VIS_MAX_CONNS,
          settings.SQL_VIS_MAX_IDLE_CONNS,
        ),
      },
    },
    global: { membership: { maxJoinDuration: '30s', broadcastAddress: HOST } },
    services: Object.fromEntries(services.map((service) => [service, rpc(ports[service])])),
    clusterMetadata: {
      enableGlobalNamespace: false,
      failoverVersionIncrement: 10,
      masterClusterName: 'active',
      currentClusterName: 'active',
      clusterInformation: {
        active: {
          enabled: true,
          initialFailoverVersion: 1,
          rpcName: 'frontend',
          rpcAddress: frontendAddress,
        },
      },
    },
    archival: { history: noArchival, visibility: noArchival },
    namespaceDefaults: { archival: { history: noArchival, visibility: noArchival } },
    publicClient: { hostPort: frontendAddress },
    dcRedirectionPolicy: { policy: 'noop' },
    dynamicConfigClient: { filepath: dynamicConfigFile, pollInterval: '60s' },
  };
}
