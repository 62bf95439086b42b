import { createServer, type Server } from "node:http";
import { DinpError, messageOf } from "@dinp/core";
import { ApiAsker } from "./ask-api.js";
import { DashHandler } from "./handler.js";
import { defaultTimeouts, type DashOptions } from "./options.js";
import { Servers } from "./servers.js";
import { Sessions } from "./sessions.js";

/** The dashboard: serves the page, keeps its sessions, and passes its calls on to the API. */
export interface Dash {
  /** Listens; resolves with the address. `DINP_PORT_TAKEN`, `DINP_INVALID`, `DINP_CLOSED`. */
  start(): Promise<{ readonly host: string; readonly port: number }>;
  /** Sessions that have not ended. */
  readonly sessions: number;
  /**
   * Takes no new connection, ends streams, lets other calls in flight end for `drainMs`, then cuts what is left. Ends all
   * sessions. Idempotent.
   */
  close(options: { readonly drainMs: number }): Promise<void>;
}

const SESSION_MS = 12 * 3_600_000;

class NodeDash implements Dash {
  readonly #options: DashOptions;
  readonly #sessions: Sessions;
  readonly #asker: ApiAsker;
  readonly #handler: DashHandler;
  readonly #server: Server;
  #closing: Promise<void> | null = null;

  constructor(options: DashOptions) {
    this.#options = options;
    const { clock, random, sessionMs = SESSION_MS, sessionsMax = 10_000, ca } = options;
    const timeouts = { ...defaultTimeouts, ...options.timeouts };
    this.#sessions = new Sessions({ clock, random, sessionMs, sessionsMax });
    this.#asker = new ApiAsker({ servers: new Servers(options.servers), ca, connectMs: timeouts.connectMs });
    this.#handler = new DashHandler({
      ...{ files: options.files, logger: options.logger, onRequest: options.onRequest },
      ...{ sessions: this.#sessions, asker: this.#asker, timeouts, sessionMs },
      publicOrigin: originOf(options.publicUrl),
      callsMax: options.callsMax ?? 512,
    });
    // An upload may take long; bodies are bounded where they are read.
    this.#server = createServer(
      {
        requestTimeout: 0,
        headersTimeout: timeouts.headMs,
        connectionsCheckingInterval: 1_000,
        keepAliveTimeout: 60_000,
        maxHeaderSize: 16_384,
      },
      (request, response) => {
        this.#handler.handle(request, response);
      },
    );
    this.#server.maxConnections = options.connectionsMax ?? 1_024;
  }

  get sessions(): number {
    return this.#sessions.size;
  }

  async start(): Promise<{ readonly host: string; readonly port: number }> {
    if (this.#closing !== null) throw new DinpError("DINP_CLOSED", "The dashboard is closed.");
    const { host, port } = this.#options.listen;
    await new Promise<void>((resolve, reject) => {
      const failed = (error: Error): void => {
        reject(listenError(error, host, port));
      };
      this.#server.once("error", failed);
      this.#server.listen(port, host, () => {
        this.#server.off("error", failed);
        resolve();
      });
    });
    this.#server.on("error", (error) => {
      this.#options.logger.error("the dashboard's listener failed", { error: error.message });
    });
    const address = this.#server.address();
    return { host, port: typeof address === "object" && address !== null ? address.port : port };
  }

  close({ drainMs }: { readonly drainMs: number }): Promise<void> {
    this.#closing ??= this.#close(drainMs);
    return this.#closing;
  }

  async #close(drainMs: number): Promise<void> {
    this.#handler.endStreams();
    if (this.#server.listening) {
      const closed = new Promise<void>((resolve) => {
        this.#server.close(() => {
          resolve();
        });
      });
      this.#server.closeIdleConnections();
      const cut = setTimeout(() => {
        this.#server.closeAllConnections();
      }, drainMs);
      await closed;
      clearTimeout(cut);
    }
    this.#asker.close();
  }
}

/** Makes the dashboard; it does nothing yet. `DINP_INVALID` for URLs that are none. */
export function createDash(options: DashOptions): Dash {
  return new NodeDash(options);
}

function originOf(url: string | undefined): string | null {
  if (url === undefined) return null;
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed !== null && /^https?:$/.test(parsed.protocol) && parsed.pathname === "/") return parsed.origin;
  throw new DinpError(
    "DINP_INVALID",
    `The dashboard's public URL ${JSON.stringify(url.slice(0, 200))} is none.`,
    {
      hint: "Write it like https://dash.example.com, without a path.",
    },
  );
}

function listenError(error: Error, host: string, port: number): DinpError {
  const at = `${host}:${String(port)}`;
  if ("code" in error && error.code === "EADDRINUSE") {
    return new DinpError(
      "DINP_PORT_TAKEN",
      `The dashboard cannot listen on ${at}: another program has that port.`,
      {
        hint: "Choose another port for the dashboard.",
        cause: error,
      },
    );
  }
  return new DinpError("DINP_INVALID", `The dashboard cannot listen on ${at}: ${messageOf(error)}.`, {
    cause: error,
  });
}
