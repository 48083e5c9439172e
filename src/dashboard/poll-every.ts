let streaming = false;

/** Whether the service says at once what has changed. */
export const isStreaming = (): boolean => streaming;

export function setStreaming(is: boolean): void {
  streaming = is;
}

/** In case that a change was not said. */
const slowMs = 30_000;

/** A refetch interval: so often while there is no stream of changes, and seldom while there is one. */
export const pollEvery = (ms: number) => (): number => (streaming ? Math.max(ms, slowMs) : ms);
