import type { Change } from '../../src/contracts/change.ts';
import { until } from './service.ts';

export type OpenStream = {
  status: number;
  headers: Headers;
  /** The names of its events, in order. */
  names: string[];
  changes: Change[];
  /** Whether the service has ended it, or its connection. */
  hasEnded(): boolean;
  /** Waits until an event names this id. */
  untilChanged(id: string): Promise<void>;
  close(): void;
};

/** Opens `GET /v1/stream` as a program would, and waits until it is ready or refused. */
export async function openStream(
  apiUrl: string,
  key: string | null,
  headers: Record<string, string> = {},
): Promise<OpenStream> {
  const stop = new AbortController();
  const response = await fetch(`${apiUrl}/v1/stream`, {
    headers: { ...(key === null ? {} : { authorization: `Bearer ${key}` }), ...headers },
    signal: stop.signal,
  });
  const names: string[] = [];
  const changes: Change[] = [];
  let hasEnded = false;
  const read = async (): Promise<void> => {
    let text = '';
    const decoder = new TextDecoder();
    for await (const part of response.body ?? []) {
      text += decoder.decode(part as Uint8Array, { stream: true });
      const events = text.split('\n\n');
      text = events.pop() ?? '';
      for (const event of events) {
        const [, name, data] = /^event: (\w+)\ndata: (.*)$/.exec(event) ?? [];
        if (name === undefined || data === undefined) continue;
        names.push(name);
        if (name === 'changed') changes.push(JSON.parse(data) as Change);
      }
    }
  };
  void read()
    .catch(() => undefined)
    .finally(() => (hasEnded = true));
  const stream: OpenStream = {
    status: response.status,
    headers: response.headers,
    names,
    changes,
    hasEnded: () => hasEnded,
    async untilChanged(id) {
      await until(
        () => ({ id, hasEnded, changes }),
        () => changes.some(({ ids }) => ids?.includes(id) === true),
        20_000,
      );
    },
    close: () => stop.abort(),
  };
  if (response.status === 200)
    await until(
      () => names.includes('ready') || hasEnded,
      (is) => is,
      20_000,
    );
  return stream;
}
