import { timingSafeEqual } from 'node:crypto';
import type { Express, RequestHandler } from 'express';
import { readReadiness } from '../db/readiness.ts';
import type { Deps } from '../deps.ts';
import { ApiError } from '../errors.ts';
import { digestOfKey } from '../security/api-keys.ts';
import { isTemporalReachable } from '../temporal/client.ts';
import { digestOfAuthorization } from './auth.ts';
import { sendJson, sendResponse } from './send-response.ts';

export type ProbeDeps = Pick<
  Deps,
  'config' | 'log' | 'pool' | 'temporal' | 'metrics' | 'readOutboxes' | 'isStopping'
> & {
  /** A worker has nothing to do without Temporal; the API accepts events all the same. */
  needsTemporal: boolean;
};

export const probePaths = ['/healthz', '/readyz', '/metrics'] as const;

/** Health, readiness and metrics. */
export function addProbes(app: Express, deps: ProbeDeps): void {
  app.get('/healthz', (_request, response) => sendJson(response, 200, { status: 'ok' }));
  app.get('/readyz', readiness(deps));
  app.get('/metrics', metricsOf(deps));
}

/** How long a result is cached, since anybody may request it. */
const readinessMs = 1000;

function readiness({ pool, temporal, readOutboxes, isStopping, needsTemporal }: ProbeDeps): RequestHandler {
  const check = () => Promise.all([readReadiness(pool), isTemporalReachable(temporal)]);
  let checked: ReturnType<typeof check> | null = null;
  const forget = () => {
    checked = null;
  };
  return async (_request, response) => {
    checked ??= check().finally(() => setTimeout(forget, readinessMs).unref());
    const [database, isTemporalReady] = await checked;
    // Shown only: the service works without another database.
    const outboxes = readOutboxes().map(({ name, state }) => [name, state]);
    const isReady = database === 'ok' && (isTemporalReady || !needsTemporal) && !isStopping();
    sendJson(response, isReady ? 200 : 503, {
      status: isReady ? 'ready' : isStopping() ? 'stopping' : 'not ready',
      checks: {
        postgresql: database,
        temporal: isTemporalReady ? 'ok' : 'unavailable',
        ...(outboxes.length > 0 ? { outboxes: Object.fromEntries(outboxes) as Record<string, string> } : {}),
      },
    });
  };
}

/**
 * In production the metrics need the token, also from this machine: behind a proxy that forwards all paths, every request
 * comes from there.
 */
function metricsOf({ config, metrics }: ProbeDeps): RequestHandler {
  const token = config.FLTR_METRICS_TOKEN;
  const digest = token === undefined ? null : digestOfKey(token);
  return async (request, response) => {
    if (digest === null && config.FLTR_ENV === 'production') {
      throw new ApiError(
        'metrics_closed',
        'Set FLTR_METRICS_TOKEN, and send it as "Authorization: Bearer <token>".',
      );
    }
    if (digest !== null && !timingSafeEqual(digest, digestOfAuthorization(request.headers.authorization))) {
      throw new ApiError('unauthorized', 'This is not the token in FLTR_METRICS_TOKEN.');
    }
    const body = await metrics.read();
    sendResponse(response, { status: 200, body, contentType: 'text/plain; version=0.0.4' });
  };
}
