import { useMutation, type UseMutationOptions, type UseMutationResult } from '@tanstack/react-query';
import { useCallback, useRef } from 'react';

/** A mutation that runs at most once at a time: a double click is ignored, even before the next render. */
export function useSubmission<Data, Variables = void>(
  options: UseMutationOptions<Data, Error, Variables>,
): UseMutationResult<Data, Error, Variables> {
  const isRunning = useRef(false);
  const mutation = useMutation({
    ...options,
    onSettled: () => {
      isRunning.current = false;
    },
  });
  const { mutate: start } = mutation;
  const mutate = useCallback<typeof start>(
    (...args) => {
      if (isRunning.current) return;
      isRunning.current = true;
      start(...args);
    },
    [start],
  );
  return { ...mutation, mutate };
}

/** An idempotency key per content: submitting the same form again reuses the key. */
export function useContentKey(newKey: () => string): {
  keyOf: (content: unknown) => string;
  renew: () => void;
} {
  const last = useRef<{ text: string; key: string } | null>(null);
  return {
    keyOf(content) {
      const text = JSON.stringify(content);
      if (last.current?.text !== text) last.current = { text, key: newKey() };
      return last.current.key;
    },
    renew() {
      last.current = null;
    },
  };
}
