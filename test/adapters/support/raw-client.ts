import { connect, type Socket } from "node:net";
import { until } from "./until.js";

export interface RawAnswer {
  readonly status: number;
  readonly fields: ReadonlyMap<string, string>;
  readonly body: string;
}

/** A client that sends exactly what it is told to and keeps every byte that comes back. */
export class RawClient {
  readonly socket: Socket;
  text = "";
  ended = false;
  closed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk) => {
      this.text += chunk.toString("latin1");
    });
    socket.on("end", () => {
      this.ended = true;
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.closed = true;
    });
  }

  static async open(port: number): Promise<RawClient> {
    const socket = connect({ port, host: "127.0.0.1" });
    const client = new RawClient(socket);
    await new Promise((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    return client;
  }

  send(bytes: string): this {
    this.socket.write(bytes, "latin1");
    return this;
  }

  /** Sends a byte now and then until the connection ends. */
  trickle(): void {
    const timer = setInterval(() => this.socket.writable && this.send("x"), 20);
    this.socket.once("close", () => {
      clearInterval(timer);
    });
  }

  /** The whole answers so far. Reads `Content-Length` and chunked bodies, and bodies until the end of the connection. */
  answers(): RawAnswer[] {
    return parseAnswers(this.text, this.ended || this.closed);
  }

  async answer(index = 0, ms = 10_000): Promise<RawAnswer> {
    await until(() => this.answers().length > index || this.closed, `answer ${String(index)}`, ms);
    const answer = this.answers()[index];
    if (answer === undefined)
      throw new Error(`no answer ${String(index)}; got ${JSON.stringify(this.text.slice(0, 300))}`);
    return answer;
  }

  async whenClosed(): Promise<void> {
    await until(() => this.closed, "the connection's end");
  }
}

/** Sends bytes on a connection of their own and returns the first answer. */
export async function exchange(port: number, bytes: string): Promise<RawAnswer> {
  const client = await RawClient.open(port);
  try {
    return await client.send(bytes).answer();
  } finally {
    client.socket.destroy();
  }
}

function parseAnswers(text: string, ended: boolean): RawAnswer[] {
  const answers: RawAnswer[] = [];
  let rest = text;
  for (;;) {
    const end = rest.indexOf("\r\n\r\n");
    if (end < 0) return answers;
    const [line = "", ...lines] = rest.slice(0, end).split("\r\n");
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(line)?.[1]);
    const fields = new Map(
      lines.map((each): [string, string] => [
        each.slice(0, each.indexOf(":")).toLowerCase(),
        each.slice(each.indexOf(":") + 1).trim(),
      ]),
    );
    rest = rest.slice(end + 4);
    if (status >= 100 && status < 200) {
      answers.push({ status, fields, body: "" });
      if (status === 101) return answers;
      continue;
    }
    const body = bodyOf(rest, status, fields, ended);
    if (body === null) return answers;
    answers.push({ status, fields, body: body.text });
    rest = rest.slice(body.length);
  }
}

function bodyOf(
  rest: string,
  status: number,
  fields: ReadonlyMap<string, string>,
  ended: boolean,
): { readonly text: string; readonly length: number } | null {
  if (status === 204 || status === 304) return { text: "", length: 0 };
  if (fields.get("transfer-encoding") === "chunked") return chunksOf(rest);
  const given = fields.get("content-length");
  if (given === undefined) return ended ? { text: rest, length: rest.length } : null;
  const length = Number(given);
  return rest.length < length ? null : { text: rest.slice(0, length), length };
}

function chunksOf(text: string): { readonly text: string; readonly length: number } | null {
  let at = 0;
  let body = "";
  for (;;) {
    const end = text.indexOf("\r\n", at);
    if (end < 0) return null;
    const length = Number.parseInt(text.slice(at, end), 16);
    if (text.length < end + 4 + length) return null;
    body += text.slice(end + 2, end + 2 + length);
    at = end + 4 + length;
    if (length === 0) return { text: body, length: at };
  }
}
