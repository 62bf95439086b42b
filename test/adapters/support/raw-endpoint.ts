import { createServer, type Server, type Socket } from "node:net";
import type { Endpoint } from "@dinp/core";

/** Everything that came on one connection, and what became of it. */
export interface Received {
  readonly socket: Socket;
  text: string;
  ended: boolean;
  closed: boolean;
}

/** A TCP server that keeps every byte and answers as the test says. */
export interface RawEndpoint {
  readonly endpoint: Endpoint;
  readonly connections: Received[];
  /** All bytes of all connections, in order of connecting. */
  bytes(): string;
  openConnections(): number;
  close(): Promise<void>;
}

export type Answer = (received: Received) => void;

export const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** Answers 200 once a connection's bytes hold one more whole request. */
export function answerWhole(answer: string = OK): Answer {
  const answered = new WeakMap<Received, number>();
  return (received) => {
    const count = parseRequests(received.text).requests.length;
    for (let i = answered.get(received) ?? 0; i < count; i += 1) received.socket.write(answer, "latin1");
    answered.set(received, count);
  };
}

export async function startRawEndpoint(
  instanceId: string,
  answer: Answer = answerWhole(),
): Promise<RawEndpoint> {
  const connections: Received[] = [];
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    const received: Received = { socket, text: "", ended: false, closed: false };
    connections.push(received);
    socket.on("data", (chunk) => {
      received.text += chunk.toString("latin1");
      answer(received);
    });
    socket.on("end", () => {
      received.ended = true;
      socket.end();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      received.closed = true;
    });
  });
  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(address !== null && typeof address !== "string" ? address.port : 0);
    });
  });
  return {
    endpoint: { instanceId, host: "127.0.0.1", port },
    connections,
    bytes: () => connections.map(({ text }) => text).join(""),
    openConnections: () => connections.filter(({ closed }) => !closed).length,
    close: async () => {
      for (const { socket } of connections) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export interface ParsedRequest {
  readonly line: string;
  readonly fields: readonly (readonly [string, string])[];
  readonly body: string;
}

/**
 * Reads requests the strict way: throws on anything that two parsers could read differently. `rest` is the beginning of a
 * request that is not whole.
 */
export function parseRequests(text: string): { readonly requests: ParsedRequest[]; readonly rest: string } {
  const requests: ParsedRequest[] = [];
  let rest = text;
  for (;;) {
    const end = rest.indexOf("\r\n\r\n");
    if (end < 0) return { requests, rest };
    const [line = "", ...lines] = rest.slice(0, end).split("\r\n");
    if (!/^[A-Z-]+ (?:\/[!-~\x80-\xff]*|\*) HTTP\/1\.1$/.test(line))
      throw new Error(`odd request line: ${line}`);
    const fields = lines.map((each): [string, string] => {
      const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\t\x20-\x7e\x80-\xff]*)$/.exec(each);
      if (match === null) throw new Error(`odd field: ${JSON.stringify(each)}`);
      return [(match[1] ?? "").toLowerCase(), match[2] ?? ""];
    });
    const body = readBody(rest.slice(end + 4), fields);
    if (body === null) return { requests, rest };
    requests.push({ line, fields, body: body.text });
    rest = rest.slice(end + 4 + body.length);
  }
}

function readBody(
  text: string,
  fields: readonly (readonly [string, string])[],
): { text: string; length: number } | null {
  const of = (name: string): string[] => fields.filter(([key]) => key === name).map(([, value]) => value);
  const lengths = of("content-length");
  const codings = of("transfer-encoding");
  if (of("host").length !== 1) throw new Error("not one Host field");
  if (lengths.length + codings.length > 1) throw new Error("more than one framing field");
  if (codings[0] !== undefined) {
    if (codings[0] !== "chunked") throw new Error(`odd coding: ${codings[0]}`);
    return readChunks(text);
  }
  if (lengths[0] === undefined) return { text: "", length: 0 };
  if (!/^[0-9]+$/.test(lengths[0])) throw new Error(`odd length: ${lengths[0]}`);
  const length = Number(lengths[0]);
  return text.length < length ? null : { text: text.slice(0, length), length };
}

function readChunks(text: string): { text: string; length: number } | null {
  let at = 0;
  let body = "";
  for (;;) {
    const end = text.indexOf("\r\n", at);
    if (end < 0) return null;
    const size = text.slice(at, end);
    if (!/^[0-9a-f]+$/i.test(size)) throw new Error(`odd chunk size: ${JSON.stringify(size)}`);
    const length = Number.parseInt(size, 16);
    if (text.length < end + 2 + length + 2) return null;
    if (text.slice(end + 2 + length, end + 4 + length) !== "\r\n") throw new Error("a chunk without its end");
    body += text.slice(end + 2, end + 2 + length);
    at = end + 4 + length;
    if (length === 0) return { text: body, length: at };
  }
}
