import { FltrWebhooksError } from '../../client/request.ts';

/** Faults that a form finds itself, as the API would return them: shown at their fields. */
export type FormFaults = { pointer: string; message: string }[];

/** @throws FltrWebhooksError where there is a fault */
export function requireNone(faults: FormFaults): void {
  const [first] = faults;
  if (first !== undefined)
    throw new FltrWebhooksError(first.message, { status: 422, code: 'validation_failed', errors: faults });
}

/** The number in a field; null where it is empty. Other text becomes a fault. */
export function numberIn(text: string, pointer: string, faults: FormFaults): number | null {
  if (text.trim() === '') return null;
  const value = Number(text);
  if (Number.isFinite(value)) return value;
  faults.push({ pointer, message: 'Write a number.' });
  return null;
}
