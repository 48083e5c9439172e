/** The errors that a process may log during a fault, and why. */
const allowed: readonly { pattern: RegExp; why: string }[] = [
  {
    pattern: /"msg":"unavailable"\}$/,
    why: 'the response of a call was 503, and the log says why',
  },
  {
    pattern:
      /"target":"temporalio_sdk_core::[^"]*"\},"msg":"Trying to send a new WFT for a run which already has one!"/,
    why: 'the SDK reports this of itself when Temporal hands out a workflow task again; the task is run all the same',
  },
];

/** No process logs an error: an effect of an outside fault is a warning, and the work is repeated. */
export function checkLogs(lines: readonly string[]): string[] {
  const faults = new Map<string, number>();
  for (const line of lines) {
    if (!isError(line) || allowed.some(({ pattern }) => pattern.test(line))) continue;
    // A repeated line is one fault.
    const kind = line
      .replace(/"time":"[^"]*"/, '')
      .replace(/\d+/g, '0')
      .slice(0, 120);
    if (!faults.has(kind)) faults.set(kind, lines.indexOf(line));
  }
  return [...faults.values()].map((index) => `A process logged: ${lines[index]?.slice(0, 1500)}`);
}

function isError(line: string): boolean {
  if (line.startsWith('{')) return /^\{"level":"(error|fatal)"/.test(line);
  return /\b(unhandled|uncaught|MaxListenersExceeded|FATAL|panicked)\b/i.test(line);
}
