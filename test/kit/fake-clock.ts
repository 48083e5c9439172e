import { onTestFinished, vi } from 'vitest';

/**
 * Fake timers for one test. Libraries that hold the `performance` object (lru-cache does) see the faked time too, which
 * they do not where Vitest replaces that object.
 */
export function useFakeClock(): void {
  vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'] });
  const now = vi.spyOn(performance, 'now').mockImplementation(() => Date.now());
  onTestFinished(() => {
    now.mockRestore();
    vi.useRealTimers();
  });
}
