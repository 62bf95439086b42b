import { once } from "node:events";
import {
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type RequestListener,
} from "node:http";
import type { AddressInfo } from "node:net";
import { createDash, type Dash, type DashOptions } from "@dinp/core/dash";
import type { Clock } from "@dinp/core";
import { createSystemClock, createSystemRandom } from "@dinp/core/system";
import { onTestFinished } from "vitest";
import { MemoryLogger } from "../platform/world.js";

export const TOKEN = "dinp_test0123456789";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface Ask {
  readonly method?: string;
  readonly path: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | Uint8Array;
}

/** A clock that a test puts forward. */
export class HandClock implements Clock {
  readonly #system = createSystemClock();
  passedMs = 0;

  now(): number {
    return this.#system.now() + this.passedMs;
  }

  monotonicMs(): number {
    return this.passedMs;
  }

  sleep(ms: number, options?: { readonly signal?: AbortSignal }): Promise<void> {
    return this.#system.sleep(ms, options);
  }
}

/** Without those that are undefined. */
function given(headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined));
}

/** A dashboard on a port of its own, and a browser that asks it. */
export class TestDash {
  readonly dash: Dash;
  readonly clock = new HandClock();
  readonly logger = new MemoryLogger();
  origin = "";
  /** Of the session; empty before the sign-in. */
  cookie = "";

  private constructor(options: Partial<DashOptions>) {
    this.dash = createDash({
      listen: { host: "127.0.0.1", port: 0 },
      servers: [],
      files: new Map([["/", { type: "text/html", bytes: Buffer.from("<p>page"), etag: '"1"' }]]),
      clock: this.clock,
      random: createSystemRandom(),
      logger: this.logger,
      ...options,
    });
  }

  static async start(options: Partial<DashOptions>): Promise<TestDash> {
    const started = new TestDash(options);
    const { port } = await started.dash.start();
    started.origin = `http://127.0.0.1:${String(port)}`;
    onTestFinished(() => started.dash.close({ drainMs: 0 }));
    return started;
  }

  /** Sends a request as its own page would; `headers` go over that. */
  async ask({ method = "GET", path, headers, body }: Ask): Promise<Answer> {
    const origin = method === "GET" ? {} : { origin: this.origin };
    const cookie = this.cookie === "" ? {} : { cookie: this.cookie };
    const asked = httpRequest(this.origin, {
      path,
      method,
      agent: false,
      headers: given({ ...origin, ...cookie, ...headers }),
    });
    asked.end(body);
    const [answer] = (await once(asked, "response")) as [import("node:http").IncomingMessage];
    let text = "";
    for await (const chunk of answer.setEncoding("utf8")) text += String(chunk);
    return { status: answer.statusCode ?? 0, headers: answer.headers, text };
  }

  /** Opens an upload that the test goes on with. */
  upload(path: string, headers: OutgoingHttpHeaders = {}): import("node:http").ClientRequest {
    const fields = { "content-type": "application/octet-stream", connection: "keep-alive" };
    const asked = httpRequest(new URL(path, this.origin), {
      method: "POST",
      agent: false,
      headers: { origin: this.origin, cookie: this.cookie, ...fields, ...headers },
    });
    // Tests wait for the answer; what comes after that is of no interest.
    asked.on("error", () => undefined);
    return asked;
  }

  post(path: string, json: unknown, headers: OutgoingHttpHeaders = {}): Promise<Answer> {
    const all = { "content-type": "application/json", ...headers };
    return this.ask({ method: "POST", path, body: JSON.stringify(json), headers: all });
  }

  /** Signs in and keeps the cookie. */
  async signIn(token = TOKEN, headers: OutgoingHttpHeaders = {}): Promise<Answer> {
    const answer = await this.post("/session", { token }, headers);
    const [set] = answer.headers["set-cookie"] ?? [];
    if (set !== undefined) this.cookie = set.split(";", 1)[0] ?? "";
    return answer;
  }
}

export interface TestServer {
  readonly url: string;
  /** `METHOD path` of each request, in the order of their arrival; without those of signing in. */
  readonly asked: string[];
  /** Stops listening, and cuts all connections. */
  stop(): Promise<void>;
}

/** A server of the API that knows one token, and answers the rest as the test says. */
export async function startServer(
  listener: RequestListener = (_request, response) => response.end("{}"),
  port = 0,
): Promise<TestServer> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    if (request.url === "/v1/session") {
      const isKnown = request.headers.authorization === `Bearer ${TOKEN}`;
      response.writeHead(isKnown ? 200 : 401, { "content-type": "application/json" });
      response.end(
        isKnown
          ? '{"subject":"ann","role":"member"}'
          : '{"error":{"code":"DINP_UNAUTHENTICATED","message":"No."}}',
      );
      return;
    }
    asked.push(`${request.method ?? ""} ${request.url ?? ""}`);
    listener(request, response);
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const stop = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  };
  onTestFinished(stop);
  return { url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`, asked, stop };
}

/** The whole body of a request. */
export async function bodyOf(request: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

export function codeOf({ text }: Answer): string {
  return (JSON.parse(text) as { readonly error: { readonly code: string } }).error.code;
}
