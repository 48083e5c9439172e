/** Placeholder until the demo is written. */
export function runDemo(_mainPath: string): Promise<number> {
  return Promise.resolve(0);
}
