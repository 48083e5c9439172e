import { Counter, Histogram, type Registry } from 'prom-client';

/** `route`: its template, never a path as it was called. `status`: its class, or that the client had gone. */
type Answered = { method: string; route: string; status: string };

export type HttpMetrics = { answered(answered: Answered, milliseconds: number): void };

export function createHttpMetrics(registry: Registry): HttpMetrics {
  const requests = new Counter({
    name: 'fltr_http_requests_total',
    help: 'HTTP requests by route, method and class of the status; `aborted`: the client did not wait.',
    labelNames: ['route', 'method', 'status'],
    registers: [registry],
  });
  const durations = new Histogram({
    name: 'fltr_http_request_duration_seconds',
    help: 'How long HTTP requests took.',
    labelNames: ['route', 'method'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [registry],
  });
  const known = new Map<string, (seconds: number) => void>();
  const resolve = ({ route, method, status }: Answered) => {
    const [count, time] = [requests.labels(route, method, status), durations.labels(route, method)];
    return (seconds: number) => {
      count.inc();
      time.observe(seconds);
    };
  };
  return {
    answered(answered, milliseconds) {
      const name = `${answered.method} ${answered.route} ${answered.status}`;
      const observe = known.get(name) ?? resolve(answered);
      known.set(name, observe);
      observe(milliseconds / 1000);
    },
  };
}
