import { realpath, stat } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { createStaticFileHandler } from "./handler.js";

export interface StaticFileServer {
  /** The port that it listens on. */
  readonly port: number;
  /** Takes no new connections, lets requests in flight end for `graceMs`, then cuts them. Idempotent. */
  close(graceMs: number): Promise<void>;
}

const REQUESTS_END_MS = 10_000;

/** Serves the files below `dir`; see {@link createStaticFileHandler}. Rejects when there is no such folder or the port is taken. */
export async function serveStaticFiles(options: {
  readonly dir: string;
  readonly port: number;
  /** Default: all addresses. */
  readonly host?: string;
  readonly onError?: (error: unknown) => void;
}): Promise<StaticFileServer> {
  const { dir, port, host, onError = () => undefined } = options;
  const root = await realpath(dir);
  if (!(await stat(root)).isDirectory()) throw new Error(`${dir} is not a folder`);
  const server = createServer(createStaticFileHandler({ root, onError }));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, ...(host === undefined ? {} : { host }) }, () => {
      server.off("error", reject);
      server.on("error", onError);
      resolve();
    });
  });
  const address = server.address();
  let closed: Promise<void> | null = null;
  return {
    port: typeof address === "object" && address !== null ? address.port : port,
    close: (graceMs) => (closed ??= closeServer(server, graceMs)),
  };
}

function closeServer(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => {
      server.closeAllConnections();
    }, graceMs);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
    server.closeIdleConnections();
  });
}

/**
 * The program `dinp-static DIR`: serves a folder on `PORT` until SIGTERM or SIGINT, then lets requests in flight end.
 * Exit codes: 0 after a signal, 1 when it cannot serve, 2 for wrong usage.
 */
export async function runStaticFileServer(args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const [dir, ...more] = args;
  const port = /^\d{1,5}$/.test(env["PORT"] ?? "") ? Number(env["PORT"]) : -1;
  if (dir === undefined || more.length > 0 || port < 0 || port > 65_535) {
    process.stderr.write("Usage: PORT=8000 dinp-static DIR\nServes the files below DIR over HTTP on PORT.\n");
    process.exitCode = 2;
    return;
  }
  const complain = (error: unknown): void => {
    process.stderr.write(`dinp-static: ${error instanceof Error ? error.message : String(error)}\n`);
  };
  try {
    const server = await serveStaticFiles({ dir, port, onError: complain });
    process.stdout.write(`Serving ${dir} on port ${String(server.port)}\n`);
    const stop = (): void => {
      void server.close(REQUESTS_END_MS);
    };
    process.once("SIGTERM", stop);
    process.once("SIGINT", stop);
  } catch (error) {
    complain(error);
    process.exitCode = 1;
  }
}
