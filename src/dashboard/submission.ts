import { useMutation, type UseMutationOptions, type UseMutationResult } from '@tanstack/react-query';
import { useCallback, useRef } from 'react';

/** A mutation that is under way once at most: a second click is ignored, also before the page is drawn anew. */
export function useSubmission<Data, Variables = void>(
  options: UseMutationOptions<Data, Error, Variables>,
): UseMutationResult<Data, Error, Variables> {
  const isUnderWay = useRef(false);
  const mutation = useMutation({
    ...options,
    onSettled: () => {
      isUnderWay.current = false;
    },
  });
  const { mutate: start } = mutation;
  const mutate = useCallback<typeof start>(
    (...given) => {
      if (isUnderWay.current) return;
      isUnderWay.current = true;
      start(...given);
    },
    [start],
  );
  return { ...mutation, mutate };
}

/** A key for what is filled in: the same content again has the same key, so that it is submitted once only. */
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
