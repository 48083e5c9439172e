export type LruMap<K, V> = {
  get(key: K): V | undefined;
  set(key: K, value: V): void;
  delete(key: K): void;
};

/**
 * A map of at most `maxSize` entries; where one more comes, the one used longest ago goes.
 *
 * @example
 * const map = createLruMap<string, URL>(2);
 * for (const key of ['a', 'b', 'c']) map.set(key, new URL(`https://${key}.example`));
 * map.get('a'); // undefined
 */
export function createLruMap<K, V extends object>(maxSize: number): LruMap<K, V> {
  // A Map keeps the order in which its keys came.
  const map = new Map<K, V>();
  return {
    get(key) {
      const value = map.get(key);
      if (value === undefined) return undefined;
      map.delete(key);
      map.set(key, value);
      return value;
    },
    set(key, value) {
      map.delete(key);
      map.set(key, value);
      if (map.size <= maxSize) return;
      const oldest = map.keys().next();
      if (!oldest.done) map.delete(oldest.value);
    },
    delete: (key) => void map.delete(key),
  };
}
