// Waits for the word to stop.

/** Resolves at SIGTERM, SIGINT or after a time. */
export function stopSignal(afterMs?: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = afterMs === undefined ? undefined : setTimeout(resolve, afterMs);
    const stop = (): void => {
      clearTimeout(timer);
      resolve();
    };
    process.once("SIGTERM", stop);
    process.once("SIGINT", stop);
  });
}
