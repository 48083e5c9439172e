import type { OutboxReport } from '../observability/outbox-metrics.ts';
import { startRelay, type RelayOptions } from './relay.ts';

type Options = Omit<RelayOptions, 'name' | 'databaseUrl' | 'isService'> & {
  /** The service's own. */
  databaseUrl: string;
};

/** Relays the outboxes of the settings. */
export function startOutboxes({ databaseUrl, ...options }: Options) {
  const relays = options.config.FLTR_OUTBOX_URLS.map((outbox) =>
    startRelay({
      ...options,
      name: outbox.name,
      databaseUrl: outbox.databaseUrl ?? databaseUrl,
      isService: outbox.databaseUrl === null,
    }),
  );
  return {
    reports: (): OutboxReport[] => relays.map((relay) => relay.report()),
    close: async (): Promise<void> => void (await Promise.all(relays.map((relay) => relay.close()))),
  };
}
