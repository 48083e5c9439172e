import type { Logger } from 'pino';
import type { CountCall } from './call-counter.ts';
import type { Config } from './config.ts';
import type { Changes } from './db/changes.ts';
import type { KeyUses } from './db/key-uses.ts';
import type { Pool } from './db/pool.ts';
import type { Publisher } from './db/publisher.ts';
import type { EventWaits } from './api/event-waits.ts';
import type { Streams } from './api/streams.ts';
import type { Backlog } from './dispatch/backlog.ts';
import type { SignalDeps } from './dispatch/signal.ts';
import type { HeaderStyle } from './domain/request-headers.ts';
import type { EventTypes } from './event-types/catalogue.ts';
import type { Metrics } from './observability/metrics.ts';
import type { OutboxReport } from './observability/outbox-metrics.ts';
import type { AddressGuard } from './outbound/address-guard.ts';
import type { Mailer } from './outbound/mailer.ts';
import type { OAuthTokens } from './outbound/oauth-tokens.ts';
import type { Sender } from './outbound/sender.ts';
import type { SecretBox } from './security/secret-box.ts';
import type { Temporal } from './temporal/client.ts';

/** The objects that the parts of the service share; built once, in app.ts. */
export type Deps = {
  config: Config;
  log: Logger;
  metrics: Metrics;
  pool: Pool;
  secretBox: SecretBox;
  guard: AddressGuard;
  sender: Sender;
  /** Access tokens for receivers. */
  oauthTokens: OAuthTokens;
  /** Null: the service has no mail server. */
  mailer: Mailer | null;
  /** How requests to receivers are labelled. */
  headerStyle: HeaderStyle;
  temporal: Temporal;
  publisher: Publisher;
  eventTypes: EventTypes;
  /** Call it when deliveries without an owner were committed. */
  wakeDispatcher: () => void;
  /** Call it when deliveries for that time were committed. */
  expectScheduled: (at: Date) => void;
  signals: SignalDeps;
  changes: Changes;
  keyUses: KeyUses;
  streams: Streams;
  eventWaits: EventWaits;
  backlog: Backlog;
  /** How the outboxes are that this process relays. */
  readOutboxes: () => readonly OutboxReport[];
  /** Counts a call for its rate limit, for all processes of this `up`. */
  countCall: CountCall;
  /** It is no longer ready, but responds for a while. */
  isStopping: () => boolean;
  /** The address of the Temporal Web UI, for links; null: not known. */
  temporalUiUrl: string | null;
};
