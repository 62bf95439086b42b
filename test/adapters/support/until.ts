/** Waits until the condition holds; fails with what was waited for. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  ms = 60_000,
): Promise<void> {
  const end = performance.now() + ms;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`${what} did not come within ${String(ms)} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
