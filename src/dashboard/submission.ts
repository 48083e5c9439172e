import { Toast } from '@base-ui/react/toast';
import { useMutation, useQueryClient, type UseMutationOptions } from '@tanstack/react-query';
import { useCallback, useRef } from 'react';

export type Submission<Data, Variables> = Pick<
  UseMutationOptions<Data, Error, Variables>,
  'mutationFn' | 'onError' | 'gcTime'
> & {
  onSuccess?: ((data: Data) => unknown) | undefined;
  /** Confirms the success in a toast. */
  done?: string | undefined;
  /** Queries whose key begins with one of these are fetched again. */
  changes?: readonly string[] | undefined;
};

/** A mutation that runs at most once at a time: a double click is ignored, even before the next render. */
export function useSubmission<Data, Variables = void>(submission: Submission<Data, Variables>) {
  const { onSuccess, done, changes = [], ...options } = submission;
  const client = useQueryClient();
  const { add } = Toast.useToastManager();
  const isRunning = useRef(false);
  const mutation = useMutation({
    ...options,
    async onSuccess(data: Data) {
      if (done !== undefined) add({ title: done });
      await onSuccess?.(data);
      await Promise.all(changes.map((key) => client.invalidateQueries({ queryKey: [key] })));
    },
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
export function useContentKey(newKey: () => string) {
  const last = useRef<{ text: string; key: string } | null>(null);
  return {
    keyOf(content: unknown): string {
      const text = JSON.stringify(content);
      if (last.current?.text !== text) last.current = { text, key: newKey() };
      return last.current.key;
    },
    renew() {
      last.current = null;
    },
  };
}
