/** A value that a call sets, by the machine's clock. `doneAt` null: the outcome of the call is not known. */
export type Setting<T> = { value: T; sentAt: number; doneAt: number | null };

/** Every value that may have been in force at some time from `from` to `to`; the first setting is there from the beginning. */
export function possibleValues<T>(settings: readonly Setting<T>[], from: number, to: number): T[] {
  const begun = settings.filter(({ sentAt }) => sentAt <= to);
  const first = begun.findLastIndex(({ doneAt }) => doneAt !== null && doneAt < from);
  return begun.slice(Math.max(0, first)).map(({ value }) => value);
}

/** Whether nothing but that value can have been in force from `from` to `to`. */
export function isCertain<T>(settings: readonly Setting<T>[], value: T, from: number, to: number): boolean {
  return possibleValues(settings, from, to).every((each) => each === value);
}
