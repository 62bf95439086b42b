/**
 * What the promise gives, or an error that says how long was waited. The promise itself is not ended. What came while this
 * process stood still has come in time.
 */
export async function within<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let lastLook: NodeJS.Immediate | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      // Timers come before what the sockets have.
      lastLook = setImmediate(() => {
        reject(new Error(`no answer within ${String(timeoutMs)} ms`));
      });
    }, timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
    clearImmediate(lastLook);
  }
}
