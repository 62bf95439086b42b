import type { Readable } from "node:stream";
import { isDinpError } from "@dinp/core";
import type { InstanceContainer } from "./containers.js";
import type { Engine } from "./engine.js";
import { EngineRefusal } from "./engine-refusal.js";
import { readFrames } from "./frames.js";
import { initMark, parseInitLine, type InitLine } from "./init-lines.js";
import { TAIL_LINES_MAX } from "../runtime/log-tail.js";
import { LineSplitter } from "../runtime/log-text.js";
import { labels } from "./names.js";

/** Lines of the first process at most: when it begins and when it ends. */
const INIT_LINES = 2;
/** The longest that a log may take that is only read to its present end. */
const READ_MS_MAX = 60_000;

/**
 * The last lines of a container's log and, with `follow`, those that come until it ends. What the first process says goes to
 * `onInit` instead.
 */
export async function* readLog(
  engine: Engine,
  container: Pick<InstanceContainer, "id" | "labels">,
  options: { readonly tail: number; readonly follow: boolean; readonly signal?: AbortSignal | undefined },
  onInit: (line: InitLine) => void = () => undefined,
): AsyncGenerator<string, void, undefined> {
  const token = container.labels[labels.token] ?? "";
  const { tail, follow, signal } = options;
  const query = {
    stdout: "true",
    stderr: "true",
    follow: String(follow),
    tail: String(Math.min(tail, TAIL_LINES_MAX) + INIT_LINES),
  };
  let stream: Readable | null = null;
  let ends: NodeJS.Timeout | null = null;
  try {
    stream = await engine.stream("GET", `/containers/${container.id}/logs`, { query, signal });
    if (!follow) ends = boundReading(stream);
    yield* linesOf(stream, token, onInit);
  } catch (error) {
    if (signal?.aborted === true) return;
    throw isDinpError(error) || error instanceof EngineRefusal ? error : engine.lost(error);
  } finally {
    if (ends !== null) clearTimeout(ends);
    stream?.destroy();
  }
}

function boundReading(stream: { destroy(error: Error): unknown }): NodeJS.Timeout {
  return setTimeout(() => {
    stream.destroy(new Error("the log did not come to an end"));
  }, READ_MS_MAX);
}

async function* linesOf(
  stream: AsyncIterable<unknown>,
  token: string,
  onInit: (line: InitLine) => void,
): AsyncGenerator<string, void, undefined> {
  const splitters = { stdout: new LineSplitter(), stderr: new LineSplitter() };
  const mark = initMark(token);
  const own = function* (text: string): Generator<string, void, undefined> {
    const at = text.indexOf(mark);
    const line = at < 0 ? null : parseInitLine(token, text.slice(at));
    if (line === null) yield text;
    else {
      onInit(line);
      // What the command wrote before without ending its line.
      if (at > 0) yield text.slice(0, at);
    }
  };
  for await (const { stream: name, bytes } of readFrames(stream))
    for (const text of splitters[name].push(bytes)) yield* own(text);
  for (const splitter of Object.values(splitters)) for (const text of splitter.flush()) yield* own(text);
}
