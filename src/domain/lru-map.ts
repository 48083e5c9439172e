export type LruMap<Key, Value> = {
  get(key: Key): Value | undefined;
  set(key: Key, value: Value): void;
  delete(key: Key): void;
};

/**
 * A map that forgets what was used longest ago once the weights of what it holds exceed `maxWeight`; a value weighs 1
 * unless `weightOf` says otherwise. One value alone may weigh more.
 *
 * @example const keys = createLruMap<string, ApiKey>(10_000)
 */
export function createLruMap<Key, Value>(
  maxWeight: number,
  weightOf: (value: Value) => number = () => 1,
): LruMap<Key, Value> {
  // A Map keeps the order of insertion: what is used is inserted again, so the first one is the oldest.
  const entries = new Map<Key, Value>();
  let weight = 0;

  function remove(key: Key): void {
    const value = entries.get(key);
    if (value !== undefined && entries.delete(key)) weight -= weightOf(value);
  }

  return {
    get(key) {
      const value = entries.get(key);
      if (value === undefined) return undefined;
      entries.delete(key);
      entries.set(key, value);
      return value;
    },
    set(key, value) {
      remove(key);
      entries.set(key, value);
      weight += weightOf(value);
      for (const oldest of entries.keys()) {
        if (weight <= maxWeight || oldest === key) return;
        remove(oldest);
      }
    },
    delete: remove,
  };
}
