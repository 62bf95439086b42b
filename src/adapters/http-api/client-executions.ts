import type { ExecEvent, ExecRequest, RunRequest } from "@dinp/core";

const CHUNK = 32_768;

/** A command as it is sent: its input in base64. */
export function commandBody({ stdin, ...request }: ExecRequest | RunRequest): object {
  if (stdin === undefined) return request;
  let text = "";
  for (let at = 0; at < stdin.length; at += CHUNK)
    text += String.fromCharCode(...stdin.subarray(at, at + CHUNK));
  return { ...request, stdin: btoa(text) };
}

/** A line of the API's answer to a command. */
type ExecLine =
  | { readonly type: "output"; readonly stream: "stdout" | "stderr"; readonly data: string }
  | (ExecEvent & { readonly type: "exit" });

/** The events of a command out of the lines of the API's answer. */
export async function* execEvents(lines: AsyncIterable<unknown>): AsyncGenerator<ExecEvent, void, undefined> {
  for await (const value of lines) {
    // As all answers of the API, taken at its word.
    const line = value as ExecLine;
    if (line.type === "exit") yield line;
    else yield { type: "output", stream: line.stream, bytes: bytesOf(line.data) };
  }
}

function bytesOf(base64: string): Uint8Array {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index += 1) bytes[index] = text.charCodeAt(index);
  return bytes;
}
