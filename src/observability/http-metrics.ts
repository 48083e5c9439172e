import { Counter, Histogram, type Registry } from 'prom-client';

/** `route`: its template, never the path of a request. `status`: its class, or `aborted`. */
type Handled = { method: string; route: string; status: string };

export function createHttpMetrics(registry: Registry) {
  const requests = new Counter({
    name: 'fltr_http_requests_total',
    help: 'HTTP requests by route, method and status class; `aborted`: the client closed the connection.',
    labelNames: ['route', 'method', 'status'],
    registers: [registry],
  });
  const durations = new Histogram({
    name: 'fltr_http_request_duration_seconds',
    help: 'Duration of HTTP requests.',
    labelNames: ['route', 'method'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [registry],
  });
  const known = new Map<string, (seconds: number) => void>();
  const resolve = ({ route, method, status }: Handled) => {
    const [count, time] = [requests.labels(route, method, status), durations.labels(route, method)];
    return (seconds: number) => {
      count.inc();
      time.observe(seconds);
    };
  };
  return {
    handled(request: Handled, milliseconds: number): void {
      const name = `${request.method} ${request.route} ${request.status}`;
      const observe = known.get(name) ?? resolve(request);
      known.set(name, observe);
      observe(milliseconds / 1000);
    },
  };
}
