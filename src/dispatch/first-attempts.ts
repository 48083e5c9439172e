export type FirstAttempts = ReturnType<typeof createFirstAttempts>;

/** Knows when the first attempts of a workflow that this process started have been made, by this process. */
export function createFirstAttempts() {
  const watched = new Map<string, () => void>();
  return {
    /** Call it before the start; `until` resolves when they are made, or after so many milliseconds from its call. */
    watch(workflowId: string) {
      const { promise: made, resolve } = Promise.withResolvers<void>();
      watched.set(workflowId, resolve);
      const forget = () => void watched.delete(workflowId);
      return {
        forget,
        async until(milliseconds: number): Promise<void> {
          let timer: NodeJS.Timeout | undefined;
          const late = new Promise<void>((resolve) => {
            timer = setTimeout(resolve, milliseconds);
          });
          await Promise.race([made, late]);
          clearTimeout(timer);
          forget();
        },
      };
    },
    made: (workflowId: string) => watched.get(workflowId)?.(),
  };
}
