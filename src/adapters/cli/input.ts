import { CliError, exitCodes } from "./exit-codes.js";

/** What the CLI needs of standard input; `process.stdin` is one. */
export type InputStream = NodeJS.ReadableStream & {
  readonly isTTY?: boolean | undefined;
  setRawMode?(isRaw: boolean): unknown;
};

const LINE_LIMIT = 8_192;

/**
 * One line of input without its end. With `hidden`, a terminal does not show what is typed. Rejects with exit code 130
 * on Ctrl-C or when the signal aborts; an input that ends gives what came before its end.
 */
export async function readLine(
  input: InputStream,
  options: { readonly hidden: boolean; readonly signal: AbortSignal },
): Promise<string> {
  const isRaw = options.hidden && input.isTTY === true && input.setRawMode !== undefined;
  if (isRaw) input.setRawMode?.(true);
  try {
    return await collectLine(input, options.signal);
  } finally {
    if (isRaw) input.setRawMode?.(false);
    input.pause();
  }
}

function collectLine(input: InputStream, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const finish = (settle: () => void): void => {
      input.off("data", onData);
      input.off("end", onEnd);
      input.off("error", onError);
      signal.removeEventListener("abort", onAbort);
      settle();
    };
    const interrupted = (): CliError => new CliError(exitCodes.interrupted, "Interrupted");
    const onData = (chunk: Buffer | string): void => {
      for (const character of chunk.toString()) {
        if (character === "\n" || character === "\r" || character === "\u0004") {
          finish(() => {
            resolve(text);
          });
          return;
        }
        if (character === "\u0003") {
          finish(() => {
            reject(interrupted());
          });
          return;
        }
        if (character === "\u007F" || character === "\b") text = text.slice(0, -1);
        else text += character;
      }
      if (text.length > LINE_LIMIT) {
        finish(() => {
          reject(new CliError(exitCodes.usage, `The input is longer than ${String(LINE_LIMIT)} characters`));
        });
      }
    };
    const onEnd = (): void => {
      finish(() => {
        resolve(text);
      });
    };
    const onError = (error: Error): void => {
      finish(() => {
        reject(error);
      });
    };
    const onAbort = (): void => {
      finish(() => {
        reject(interrupted());
      });
    };
    if (signal.aborted) {
      reject(interrupted());
      return;
    }
    input.on("data", onData);
    input.on("end", onEnd);
    input.on("error", onError);
    signal.addEventListener("abort", onAbort);
    input.resume();
  });
}

/** All of the input. Rejects with exit code 2 when it is longer than `bytesMax`, with 130 when the signal aborts. */
export async function readAll(
  input: InputStream,
  bytesMax: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const tooLong = (): CliError =>
    new CliError(exitCodes.usage, `The input is longer than ${String(bytesMax)} bytes.`, {
      hints: ["Let the command fetch it itself, or give it none: --no-stdin"],
    });
  await new Promise<void>((resolve, reject) => {
    const finish = (error?: Error): void => {
      input.off("data", onData);
      input.off("end", finish);
      input.off("error", finish);
      signal.removeEventListener("abort", onAbort);
      input.pause();
      if (error === undefined) resolve();
      else reject(error);
    };
    const onData = (chunk: Buffer | string): void => {
      const part = Buffer.from(chunk);
      bytes += part.length;
      if (bytes > bytesMax) finish(tooLong());
      else chunks.push(part);
    };
    const onAbort = (): void => {
      finish(new CliError(exitCodes.interrupted, ""));
    };
    input.on("data", onData);
    input.on("end", finish);
    input.on("error", finish);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    else input.resume();
  });
  return Buffer.concat(chunks);
}
