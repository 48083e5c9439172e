import { resolve } from 'node:path';
import type { Role, StartOptions } from './app.ts';
import { childEnvironment, type Config } from './config.ts';
import { startEmbedded, type Embedded } from './embedded/embedded.ts';
import { StartError } from './errors.ts';
import { searchAttributes } from '../workflows/contract.ts';

type Options = Pick<StartOptions, 'report' | 'onFatal'> & {
  /** That an embedded PostgreSQL allows at least. */
  postgresConnections?: number;
};

type Servers = {
  /** Null: the settings name both servers. */
  embedded: Embedded | null;
  databaseUrl: string;
  temporalAddress: string;
  temporalUiUrl: string | null;
};

/** The servers that the settings name. For `up`, those that they do not name are started. @throws StartError */
export async function resolveServers(config: Config, role: Role, options: Options): Promise<Servers> {
  const { DATABASE_URL, TEMPORAL_ADDRESS, TEMPORAL_UI_URL } = config;
  const needsPostgres = DATABASE_URL === undefined;
  const needsTemporal = TEMPORAL_ADDRESS === undefined;
  const embedded =
    role === 'up' && (needsPostgres || needsTemporal)
      ? await startEmbedded({
          ...options,
          dataDir: resolve(config.FLTR_DATA_DIR),
          env: childEnvironment(),
          needsPostgres,
          needsTemporal,
          namespace: config.TEMPORAL_NAMESPACE,
          searchAttributes,
        })
      : null;
  const databaseUrl = DATABASE_URL ?? embedded?.databaseUrl;
  const temporalAddress = TEMPORAL_ADDRESS ?? embedded?.temporalAddress;
  if (!databaseUrl || !temporalAddress) {
    throw new StartError(
      `\`${role}\` needs DATABASE_URL and TEMPORAL_ADDRESS. \`up\` starts both by itself where they are not set.`,
    );
  }
  const temporalUiUrl = TEMPORAL_UI_URL ?? embedded?.temporalUiUrl ?? null;
  return { embedded, databaseUrl, temporalAddress, temporalUiUrl };
}
