import { finished, type Readable } from "node:stream";

/**
 * The pieces of a stream, each as it came and asked for singly: Node's own iterator copies all that wait into one. Leaving
 * early stops the stream, and does not end it.
 */
export async function* piecesOf(stream: Readable): AsyncGenerator<Uint8Array, void, undefined> {
  const state: { piece: Uint8Array | null; end: { readonly error: Error | null } | null } = {
    piece: null,
    end: null,
  };
  let wake = (): void => undefined;
  const onData = (piece: Uint8Array): void => {
    stream.pause();
    state.piece = piece;
    wake();
  };
  stream.pause();
  stream.on("data", onData);
  const forget = finished(stream, { writable: false }, (error) => {
    state.end = { error: error ?? null };
    wake();
  });
  try {
    for (;;) {
      while (state.piece === null && state.end === null) {
        await new Promise<void>((resolve) => {
          wake = resolve;
          stream.resume();
        });
      }
      const { piece, end } = state;
      if (end !== null && end.error !== null) throw end.error;
      if (piece === null) return;
      state.piece = null;
      yield piece;
    }
  } finally {
    forget();
    stream.off("data", onData);
    stream.pause();
  }
}
