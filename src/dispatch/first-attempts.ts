export type FirstAttempts = ReturnType<typeof createFirstAttempts>;

/** Knows when the requests of a workflow's first attempts have been sent, where this process started it and sends them. */
export function createFirstAttempts() {
  const watched = new Map<string, () => void>();
  return {
    /** Call it before the start; `until` resolves when they are sent, or after so many milliseconds from its call. */
    watch(workflowId: string) {
      const { promise: sent, resolve } = Promise.withResolvers<void>();
      watched.set(workflowId, resolve);
      const forget = () => void watched.delete(workflowId);
      return {
        forget,
        async until(milliseconds: number): Promise<void> {
          let timer: NodeJS.Timeout | undefined;
          const late = new Promise<void>((resolve) => {
            timer = setTimeout(resolve, milliseconds);
          });
          await Promise.race([sent, late]);
          clearTimeout(timer);
          forget();
        },
      };
    },
    sent: (workflowId: string) => watched.get(workflowId)?.(),
  };
}
