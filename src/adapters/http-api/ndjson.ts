import { DinpError } from "@dinp/core";

const LINE_LENGTH_MAX = 16 * 1024 * 1024;

/** The lines of a stream of UTF-8 text, without their ends and without empty ones; `onBytes` is called as bytes come. */
export async function* lines(body: AsyncIterable<Uint8Array>, onBytes: () => void): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    onBytes();
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    if (rest.length > LINE_LENGTH_MAX)
      throw new DinpError("DINP_TOO_LARGE", "The API sent a line of more than 16 MiB.");
    for (const part of parts) if (part !== "") yield part;
  }
  rest += decoder.decode();
  if (rest !== "") yield rest;
}

/**
 * A web stream that reads `source` only as fast as it is read itself, and lets go of it when it is cancelled or the
 * signal aborts. (Node's `fetch` reads a request's body to its end even after the request was aborted.)
 */
export function toReadableStream(
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): ReadableStream<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  const letGo = (): void => {
    iterator.return?.().catch(() => undefined);
  };
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const stop = (): void => {
          controller.error(new Error("the upload was broken off"));
          letGo();
        };
        if (signal.aborted) stop();
        else signal.addEventListener("abort", stop, { once: true });
      },
      async pull(controller) {
        const next = await iterator.next();
        if (signal.aborted) return;
        if (next.done === true) controller.close();
        else controller.enqueue(next.value);
      },
      cancel: letGo,
    },
    { highWaterMark: 0 },
  );
}
