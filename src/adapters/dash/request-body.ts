import type { IncomingMessage } from "node:http";
import { DinpError } from "@dinp/core";

/**
 * The whole body of a request, at most `bytesMax` bytes, that arrives within `timeoutMs`. `DINP_TOO_LARGE`, `DINP_TIMEOUT`,
 * `DINP_ABORTED` (the client went away).
 */
export function readBody(
  incoming: IncomingMessage,
  { bytesMax, timeoutMs }: { readonly bytesMax: number; readonly timeoutMs: number },
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const timer = setTimeout(() => {
      fail(new DinpError("DINP_TIMEOUT", "The request's body did not arrive in time."));
    }, timeoutMs);
    const onData = (chunk: Buffer): void => {
      bytes += chunk.byteLength;
      if (bytes <= bytesMax) chunks.push(chunk);
      else fail(tooLarge(bytesMax));
    };
    const onEnd = (): void => {
      stop();
      resolve(Buffer.concat(chunks));
    };
    const onClose = (): void => {
      fail(new DinpError("DINP_ABORTED", "The request ended before its body did."));
    };
    const stop = (): void => {
      clearTimeout(timer);
      incoming.off("data", onData).off("end", onEnd).off("close", onClose);
    };
    const fail = (error: DinpError): void => {
      stop();
      // What still comes is thrown away, so that the client gets to read the answer.
      incoming.resume();
      reject(error);
    };
    incoming.on("data", onData).on("end", onEnd).on("close", onClose);
  });
}

function tooLarge(bytesMax: number): DinpError {
  const size = `${String(Math.round(bytesMax / 1024))} KiB`;
  return new DinpError("DINP_TOO_LARGE", `The request's body is larger than ${size}.`, {
    hint: "Only builds may be large.",
  });
}
