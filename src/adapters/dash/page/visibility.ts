/** Resolves when the page is seen, or the signal aborts. */
export function seen(signal: AbortSignal): Promise<void> {
  if (document.visibilityState === "visible") return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      if (document.visibilityState !== "visible" && !signal.aborted) return;
      document.removeEventListener("visibilitychange", end);
      signal.removeEventListener("abort", end);
      resolve();
    };
    document.addEventListener("visibilitychange", end);
    signal.addEventListener("abort", end);
  });
}

/** Aborts when the page is not seen any more, or `signal` does. */
export function whenHidden(signal: AbortSignal): AbortSignal {
  const hidden = new AbortController();
  const end = (): void => {
    if (document.visibilityState === "visible" && !signal.aborted) return;
    document.removeEventListener("visibilitychange", end);
    signal.removeEventListener("abort", end);
    hidden.abort();
  };
  document.addEventListener("visibilitychange", end);
  signal.addEventListener("abort", end);
  end();
  return hidden.signal;
}
