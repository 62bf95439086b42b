import { DinpError } from "@dinp/core";
import { jsonLines, type Engine } from "./engine.js";
import { textAt } from "./json.js";

/** An archive may take long to come; the caller's signal bounds it. */
const LOAD_MS_MAX = 60 * 60_000;

/** Loads an archive as `docker save` makes it. `DINP_UNAVAILABLE` with the engine's words when it cannot. */
export async function loadArchive(
  engine: Engine,
  archive: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<void> {
  // An error of the archive itself is the one to tell; the engine only sees that it ends too early.
  let failure: unknown = null;
  const watched = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* archive;
    } catch (error) {
      failure = error;
      throw error;
    }
  };
  try {
    const request = { archive: watched(), query: { quiet: "true" }, signal, timeoutMs: LOAD_MS_MAX };
    const response = await engine.stream("POST", "/images/load", request);
    for await (const line of jsonLines(response)) {
      const message = textAt(line, "error");
      if (message !== "") {
        throw new DinpError("DINP_UNAVAILABLE", `The engine cannot load the image: ${message}`, {
          retryable: true,
        });
      }
    }
  } catch (error) {
    throw failure ?? error;
  }
}
