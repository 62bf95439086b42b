import type { IncomingMessage, ServerResponse } from "node:http";
import { DinpError, isDinpError, messageOf, type Logger } from "@dinp/core";
import { sendError, sendJson, setSecurityFields } from "./answers.js";
import type { ApiAsker } from "./ask-api.js";
import { readCall, type Call } from "./call.js";
import { SessionCookie } from "./cookie.js";
import type { DashOptions, DashRequestRecord, DashTimeouts } from "./options.js";
import { assertOwnOrigin } from "./own-origin.js";
import type { PageFiles } from "./page-files.js";
import { passAnswer } from "./pass-answer.js";
import type { Sessions } from "./sessions.js";
import { readSignIn, sessionCall } from "./sign-in.js";

export interface DashHandlerOptions {
  readonly files: PageFiles;
  readonly sessions: Sessions;
  readonly sessionMs: number;
  readonly asker: ApiAsker;
  readonly timeouts: DashTimeouts;
  /** Null: by http, at any host. */
  readonly publicOrigin: string | null;
  readonly callsMax: number;
  readonly logger: Logger;
  readonly onRequest: DashOptions["onRequest"];
}

type Kind = DashRequestRecord["kind"];

/** Answers requests of browsers: `/api/…`, `/session`, and the files of the page. */
export class DashHandler {
  readonly #options: DashHandlerOptions;
  readonly #cookie: SessionCookie;
  readonly #isTls: boolean;
  readonly #streams = new Set<ServerResponse>();
  #calls = 0;

  constructor(options: DashHandlerOptions) {
    this.#options = options;
    this.#isTls = options.publicOrigin?.startsWith("https:") === true;
    this.#cookie = new SessionCookie({ isTls: this.#isTls });
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    // An aborted request emits an error when someone listens, and ends the process when nobody does.
    request.on("error", () => undefined);
    response.on("error", () => undefined);
    const path = (request.url ?? "").split("?", 1)[0] ?? "";
    const kind: Kind = path.startsWith("/api/") ? "api" : path === "/session" ? "session" : "page";
    this.#record(kind, response);
    boundRest(request, response, this.#options.timeouts.restMs);
    boundTaking(response, this.#options.timeouts.idleMs);
    setSecurityFields(response, { isTls: this.#isTls });
    this.#answer(kind, path, request, response).catch((error: unknown) => {
      this.#fail(error, response);
    });
  }

  /** Streams have no end of their own; the page asks for them again. */
  endStreams(): void {
    for (const response of this.#streams) response.destroy();
  }

  async #answer(kind: Kind, path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (kind === "page") {
      this.#answerFile(path, request, response);
      return;
    }
    assertOwnOrigin(request, this.#options.publicOrigin);
    if (kind === "api") await this.#bounded(() => this.#answerCall(request, response));
    else await this.#answerSession(request, response);
  }

  async #bounded(work: () => Promise<void>): Promise<void> {
    if (this.#calls >= this.#options.callsMax) {
      throw new DinpError("DINP_BUSY", "The dashboard has as many calls as it may.", { retryable: true });
    }
    this.#calls += 1;
    try {
      await work();
    } finally {
      this.#calls -= 1;
    }
  }

  #answerFile(path: string, request: IncomingMessage, response: ServerResponse): void {
    if (request.method !== "GET" && request.method !== "HEAD")
      throw new DinpError("DINP_INVALID", "The page is only read.", { hint: "Send GET." });
    const file = this.#options.files.get(path);
    if (file === undefined)
      throw new DinpError("DINP_NOT_FOUND", "There is no such page.", { hint: "Open /." });
    response.setHeader("etag", file.etag);
    response.setHeader("cache-control", "no-cache");
    if (request.headers["if-none-match"] === file.etag) {
      response.writeHead(304).end();
      return;
    }
    response.writeHead(200, { "content-type": file.type, "content-length": String(file.bytes.byteLength) });
    response.end(request.method === "HEAD" ? undefined : file.bytes);
  }

  async #answerCall(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const id = this.#cookie.read(request.headers.cookie);
    const session = this.#options.sessions.find(id);
    if (session === null) throw signedOut();
    const call = await readCall(request, this.#options.timeouts);
    const answer = await this.#ask(call, session.token, response);
    if (answer.statusCode === 401) {
      // The token was revoked meanwhile.
      this.#options.sessions.end(id);
      response.setHeader("set-cookie", this.#cookie.clear());
    }
    if (/^application\/x-ndjson/.test(answer.headers["content-type"] ?? "")) this.#streams.add(response);
    await passAnswer(answer, response, this.#options.timeouts.idleMs);
  }

  /** Given up when the client goes away. */
  #ask(call: Call, token: string, response: ServerResponse): Promise<IncomingMessage> {
    const gone = new AbortController();
    if (response.destroyed) gone.abort();
    response.once("close", () => {
      gone.abort();
    });
    return this.#options.asker.ask(call, token, gone.signal);
  }

  async #answerSession(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const id = this.#cookie.read(request.headers.cookie);
    if (request.method === "DELETE") {
      this.#options.sessions.end(id);
      sendJson(response, 200, { ended: true }, { "set-cookie": this.#cookie.clear() });
    } else if (request.method === "POST") {
      await this.#signIn(id, request, response);
    } else throw new DinpError("DINP_INVALID", "A session is begun by POST and ended by DELETE.");
  }

  /** Whoever signs in gets a new id: one that somebody else may know is worth nothing after it. */
  async #signIn(id: string | null, request: IncomingMessage, response: ServerResponse): Promise<void> {
    // Anyone may send one: before it has come whole it takes no place of a call.
    const token = await readSignIn(request, this.#options.timeouts.answerMs);
    await this.#bounded(() => this.#beginSession(id, token, response));
  }

  async #beginSession(id: string | null, token: string, response: ServerResponse): Promise<void> {
    const { sessions, sessionMs, timeouts } = this.#options;
    const answer = await this.#ask(sessionCall(timeouts.answerMs), token, response);
    if (answer.statusCode === 200) {
      sessions.end(id);
      response.setHeader("set-cookie", this.#cookie.set(sessions.begin(token), sessionMs));
    }
    await passAnswer(answer, response, timeouts.idleMs);
  }

  #fail(error: unknown, response: ServerResponse): void {
    if (response.destroyed) return;
    if (!isDinpError(error)) this.#options.logger.error("a request failed", { error: messageOf(error) });
    const told = isDinpError(error)
      ? error
      : new DinpError("DINP_INTERNAL", "Something went wrong in the dashboard.");
    if (response.headersSent) response.destroy();
    else
      sendError(
        response,
        told,
        told.code === "DINP_UNAUTHENTICATED" ? { "set-cookie": this.#cookie.clear() } : {},
      );
  }

  #record(kind: Kind, response: ServerResponse): void {
    const startedAt = performance.now();
    response.once("close", () => {
      this.#streams.delete(response);
      const status = response.headersSent ? response.statusCode : null;
      this.#options.onRequest?.({ kind, status, durationMs: performance.now() - startedAt });
    });
  }
}

/** What a client still sends after its answer is thrown away, so that it gets to read that; but not for ever. */
function boundRest(request: IncomingMessage, response: ServerResponse, restMs: number): void {
  response.once("finish", () => {
    if (request.complete) return;
    const timer = setTimeout(() => request.destroy(), restMs);
    request.once("close", () => {
      clearTimeout(timer);
    });
  });
}

/** A client that takes nothing of its answer for so long is let go; one that waits for it is not. */
function boundTaking(response: ServerResponse, idleMs: number): void {
  response.setTimeout(idleMs, () => {
    const { socket } = response;
    if (socket !== null && socket.writableLength > 0) socket.destroy();
    else socket?.setTimeout(idleMs);
  });
}

function signedOut(): DinpError {
  return new DinpError("DINP_UNAUTHENTICATED", "Nobody is signed in, or the session has ended.", {
    hint: "Sign in with a token.",
  });
}
