import { setMaxListeners } from "node:events";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { Readable, type Duplex } from "node:stream";
import { finished } from "node:stream/promises";
import { inspect } from "node:util";
import { DinpError, messageOf } from "@dinp/core";
import { closedError } from "../runtime/errors.js";
import { EngineRefusal } from "./engine-refusal.js";
import { member, textAt } from "./json.js";
import type { DockerEngineAddress } from "./options.js";

/** The newest version of the engine's API whose meaning is known here, and the oldest that has all that is asked. */
const API_NEWEST = 1.47;
const API_OLDEST = 1.41;
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

export interface EngineRequest {
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Sent as the body, as a tar. */
  readonly archive?: AsyncIterable<Uint8Array>;
  readonly credentials?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** The longest wait for the whole answer (a stream's beginning). Default: the engine's. */
  readonly timeoutMs?: number;
}

type Method = "GET" | "HEAD" | "POST" | "PUT" | "DELETE";
type Response = Readable & {
  readonly statusCode?: number;
  readonly headers: Readonly<Record<string, unknown>>;
};

/** What is used of the driver. */
interface Modem {
  dial(options: object, callback: (error: unknown, response: unknown) => void): void;
}

const ALL_STATUSES = Object.fromEntries(
  Array.from({ length: 500 }, (_, index) => [String(index + 100), true] as const),
);

/** The engine's HTTP API: every call is bounded in time, and says `DINP_UNAVAILABLE` when there is no answer. */
export class Engine {
  readonly #modem: Modem;
  readonly #agent: HttpAgent;
  readonly #timeoutMs: number;
  readonly #closing = new AbortController();
  #prefix = "";

  private constructor(modem: Modem, agent: HttpAgent, timeoutMs: number) {
    this.#modem = modem;
    this.#agent = agent;
    this.#timeoutMs = timeoutMs;
    // Every call that is under way listens to it.
    setMaxListeners(0, this.#closing.signal);
  }

  /** Loads the driver, asks the engine for its API version, and agrees on one. */
  static async open(
    address: DockerEngineAddress,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Engine> {
    const Docker = await loadDriver();
    const isTls = "host" in address && address.tls !== undefined;
    const agent = terse(isTls ? new HttpsAgent({ keepAlive: false }) : new HttpAgent({ keepAlive: false }));
    // All is said: what is not would be taken from the environment.
    const where = {
      ...{ socketPath: undefined, host: undefined, port: undefined, ca: undefined, cert: undefined },
      ...{ key: undefined, checkServerIdentity: undefined, timeout: undefined },
      ...("host" in address
        ? { host: address.host, port: address.port, ...address.tls }
        : { socketPath: address.socketPath }),
      protocol: isTls ? ("https" as const) : ("http" as const),
    };
    const all: object = { ...where, agent };
    const engine = new Engine(new Docker(all).modem, agent, timeoutMs);
    try {
      await engine.#negotiate(signal);
      return engine;
    } catch (error) {
      engine.close();
      throw error;
    }
  }

  async #negotiate(signal: AbortSignal | undefined): Promise<void> {
    const response = await this.#bounded({ signal }, (bounded) =>
      this.#send("GET", "/_ping", { signal: bounded }),
    );
    response.resume();
    const offered = Number(response.headers["api-version"]);
    if (!(offered >= API_OLDEST)) {
      throw new DinpError(
        "DINP_UNAVAILABLE",
        `The engine speaks version ${String(offered)} of Docker's API; at least ${String(API_OLDEST)} is needed.`,
        { hint: "Use Docker 20.10 or later." },
      );
    }
    this.#prefix = `/v${Math.min(offered, API_NEWEST).toFixed(2)}`;
  }

  /** The answer's JSON (null without a body). An answer of 400 and above is an {@link EngineRefusal}. */
  async ask(method: Method, path: string, request: EngineRequest = {}): Promise<unknown> {
    return this.#bounded(request, async (signal) => {
      const bytes = await collect(await this.#send(method, this.#prefix + path, { ...request, signal }));
      const text = bytes.toString();
      return text.trim() === "" ? null : (JSON.parse(text) as unknown);
    });
  }

  /** Waits for the end of an answer, whatever is in it. */
  async finish(method: Method, path: string, request: EngineRequest = {}): Promise<void> {
    await this.#bounded(request, async (signal) => {
      await finished((await this.#send(method, this.#prefix + path, { ...request, signal })).resume());
    });
  }

  /** The headers of an answer. */
  async head(path: string, request: EngineRequest = {}): Promise<Readonly<Record<string, unknown>>> {
    return this.#bounded(request, async (signal) => {
      const response = await this.#send("HEAD", this.#prefix + path, { ...request, signal });
      response.resume();
      return response.headers;
    });
  }

  /** The answer's bytes as they come; the signal ends them. */
  async stream(method: Method, path: string, request: EngineRequest = {}): Promise<Readable> {
    const response = await this.#bounded(request, (signal) =>
      this.#send(method, this.#prefix + path, { ...request, signal }),
    );
    this.#endWith(response, request.signal);
    return response;
  }

  /** A connection that goes both ways, in the engine's framing towards the caller. The caller destroys it. */
  async hijack(path: string, request: EngineRequest = {}): Promise<Duplex> {
    return this.#bounded(request, async (signal) => {
      const socket = (await this.#dial("POST", this.#prefix + path, { ...request, signal }, true)) as Duplex;
      socket.on("error", () => undefined);
      this.#endWith(socket, undefined);
      return socket;
    });
  }

  /** Lines of JSON, one after the other, of an answer that tells its progress. */
  async *progress(path: string, request: EngineRequest): AsyncGenerator<unknown, void, undefined> {
    const response = await this.stream("POST", path, request);
    yield* jsonLines(response);
  }

  /** What the breaking of a stream is for the caller. */
  lost(error: unknown): DinpError {
    if (this.#closing.signal.aborted) return closedError();
    return unavailable(`its answer broke off (${messageOf(error)})`, error);
  }

  close(): void {
    this.#closing.abort();
    this.#agent.destroy();
  }

  /** Destroys the stream when the signal aborts or the engine is closed. */
  #endWith(stream: Readable, signal: AbortSignal | undefined): void {
    const end = (): void => {
      stream.destroy();
    };
    for (const ends of [signal, this.#closing.signal]) {
      if (ends?.aborted === true) end();
      ends?.addEventListener("abort", end, { once: true });
    }
    stream.once("close", () => {
      for (const ends of [signal, this.#closing.signal]) ends?.removeEventListener("abort", end);
    });
  }

  async #bounded<T>(request: EngineRequest, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { signal, timeoutMs = this.#timeoutMs } = request;
    const bound = new AbortController();
    const late = new AbortController();
    const end = (): void => {
      bound.abort();
    };
    const timer = setTimeout(() => {
      late.abort();
      end();
    }, timeoutMs);
    for (const ends of [signal, this.#closing.signal]) {
      if (ends?.aborted === true) end();
      ends?.addEventListener("abort", end, { once: true });
    }
    try {
      return await work(bound.signal);
    } catch (error) {
      if (error instanceof EngineRefusal) throw error;
      if (this.#closing.signal.aborted) throw closedError();
      if (signal?.aborted === true)
        throw new DinpError("DINP_ABORTED", "The caller aborted the call.", { cause: signal.reason });
      if (error instanceof DinpError) throw error;
      throw late.signal.aborted
        ? unavailable(`it did not answer within ${String(timeoutMs)} ms`, error)
        : unavailable(messageOf(error), error);
    } finally {
      clearTimeout(timer);
      for (const ends of [signal, this.#closing.signal]) ends?.removeEventListener("abort", end);
    }
  }

  async #send(method: Method, path: string, request: EngineRequest): Promise<Response> {
    const response = (await this.#dial(method, path, request, false)) as Response;
    response.on("error", () => undefined);
    const status = response.statusCode ?? 0;
    if (status < 400) return response;
    const text = (await collect(response)).toString();
    throw new EngineRefusal(status, messageIn(text) || `status ${String(status)}`);
  }

  #dial(method: Method, path: string, request: EngineRequest, hijack: boolean): Promise<unknown> {
    const { query, body, archive, credentials, signal } = request;
    const file = archive === undefined ? undefined : Readable.from(archive, { objectMode: false });
    // Without a length the end of an empty body would be read as the first input.
    const empty = hijack && body === undefined ? { file: Buffer.alloc(0) } : {};
    const options = {
      method,
      path: query === undefined ? path : `${path}?`,
      options: { _query: query ?? {}, _body: body ?? {} },
      isStream: true,
      hijack,
      statusCodes: hijack ? { 101: true } : ALL_STATUSES,
      ...(signal === undefined ? {} : { abortSignal: signal }),
      ...(file === undefined ? empty : { file }),
      ...(credentials === undefined ? {} : { authconfig: { ...credentials } }),
    };
    return new Promise((resolve, reject) => {
      this.#modem.dial(options, (error, response) => {
        // What is left of an archive is not wanted any more.
        if (file !== undefined) endArchive(file, error, response);
        if (error === null || error === undefined) resolve(response);
        else reject(asRefusal(error));
      });
    });
  }
}

/**
 * For its debug messages the driver renders every request with its agent to any depth, also while debugging is off:
 * an agent's open sockets made that seconds of processor time a call. This one is rendered as its name.
 */
function terse<Agent extends HttpAgent>(agent: Agent): Agent {
  return Object.defineProperty(agent, inspect.custom, { value: () => "Agent" });
}

function endArchive(file: Readable, error: unknown, response: unknown): void {
  file.on("error", () => undefined);
  if (error !== null && error !== undefined) file.destroy();
  else if (response instanceof Readable) response.once("close", () => file.destroy());
}

/** Objects, one a line. */
export async function* jsonLines(bytes: AsyncIterable<unknown>): AsyncGenerator<unknown, void, undefined> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of bytes) {
    rest += decoder.decode(chunk as Uint8Array, { stream: true });
    for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
      const line = rest.slice(0, end).trim();
      rest = rest.slice(end + 1);
      if (line !== "") yield JSON.parse(line) as unknown;
    }
    if (rest.length > ANSWER_BYTES_MAX) throw new Error("The engine sent a line that does not end.");
  }
  if (rest.trim() !== "") yield JSON.parse(rest) as unknown;
}

export function unavailable(why: string, cause: unknown): DinpError {
  return new DinpError("DINP_UNAVAILABLE", `The Docker engine cannot be asked: ${why}.`, {
    retryable: true,
    cause,
    hint: "See that the engine runs and that its address is right.",
  });
}

async function collect(response: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    const bytes = chunk as Buffer;
    size += bytes.length;
    if (size > ANSWER_BYTES_MAX) throw new Error("The engine's answer is too long");
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

function messageIn(text: string): string {
  try {
    return textAt(JSON.parse(text), "message").trim();
  } catch {
    return text.trim().slice(0, 1_000);
  }
}

function asRefusal(error: unknown): Error {
  const status = member(error, "statusCode");
  if (typeof status !== "number") return error instanceof Error ? error : new Error(messageOf(error));
  // The driver wraps what the engine said: `(HTTP code 409) unexpected - … `.
  const message = messageOf(error).replace(/^\(HTTP code \d+\) \w+ - /, "");
  return new EngineRefusal(status, message.trim());
}

async function loadDriver(): Promise<typeof import("dockerode")> {
  try {
    return (await import("dockerode")).default;
  } catch (error) {
    throw new DinpError(
      "DINP_DRIVER_MISSING",
      `The package dockerode cannot be loaded: ${messageOf(error)}`,
      {
        hint: "Run `npm install dockerode`.",
        cause: error,
      },
    );
  }
}
