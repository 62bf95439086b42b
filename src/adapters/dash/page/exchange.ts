import type { ApiAnswer, Exchange } from "@dinp/core/client";

/** Sends calls from the page: the cookie goes with them by itself, and nothing is kept of the answers. */
export const exchangeByPage: Exchange = async ({ method, url, headers, body, signal }) => {
  const answer = await fetch(url, {
    ...{ method, headers, signal },
    body: typeof body === "string" ? body : null,
    cache: "no-store",
    redirect: "error",
  });
  return { status: answer.status, bytes: bytesOf(answer.body) };
};

/** Not every browser can iterate over a stream. */
async function* bytesOf(
  body: ReadableStream<Uint8Array> | null,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (body === null) return;
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

/** An upload's bytes that were sent, of all that there are. */
export interface Sent {
  readonly bytes: number;
  readonly all: number;
}

/** Sends one file as the body of a call, straight from the disk; `fetch` would not say how far it is. */
export function exchangeOfFile(file: File, onSent: (sent: Sent) => void): Exchange {
  return ({ method, url, headers, signal }) =>
    new Promise<ApiAnswer>((resolve, reject) => {
      const asked = new XMLHttpRequest();
      asked.open(method, url);
      for (const [name, value] of Object.entries(headers)) asked.setRequestHeader(name, value);
      asked.responseType = "arraybuffer";
      asked.upload.onprogress = ({ loaded, total }) => {
        onSent({ bytes: loaded, all: total });
      };
      const abort = (): void => {
        asked.abort();
      };
      asked.onload = () => {
        resolve({ status: asked.status, bytes: once(asked.response) });
      };
      asked.onerror = () => {
        reject(new Error("the connection broke"));
      };
      asked.onabort = () => {
        reject(new Error("aborted"));
      };
      asked.onloadend = () => {
        signal.removeEventListener("abort", abort);
      };
      signal.addEventListener("abort", abort);
      asked.send(file);
    });
}

function once(bytes: unknown): AsyncIterable<Uint8Array> {
  const pieces = bytes instanceof ArrayBuffer ? [new Uint8Array(bytes)] : [];
  return {
    [Symbol.asyncIterator]: () => {
      const left = pieces[Symbol.iterator]();
      return { next: () => Promise.resolve(left.next()) };
    },
  };
}
