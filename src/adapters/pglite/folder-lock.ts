import { createHash } from "node:crypto";
import { connect, createServer, type Server, type Socket } from "node:net";
import { acquireLockFile } from "./lock-file.js";
import { lockedError, type FolderLock } from "./locked-error.js";

const ANSWER_MS_MAX = 1_000;
const ANSWER_BYTES_MAX = 100;

/**
 * Takes a folder for this process alone; `DINP_LOCKED` when somebody has it, this process included.
 * `folder` is its real path. On Linux the lock is an abstract Unix socket (unix(7)): the kernel frees it when its
 * process dies, however it dies, and no file is left behind. It excludes processes of one network namespace that see
 * the folder under the same path; containers that share a folder need a lock of their own. Elsewhere it is a file.
 */
export function acquireFolderLock(folder: string, platform = process.platform): Promise<FolderLock> {
  return platform === "linux" ? acquireSocketLock(folder) : acquireLockFile(folder);
}

async function acquireSocketLock(folder: string): Promise<FolderLock> {
  const name = `\0dinp-store-${createHash("sha256").update(folder).digest("hex").slice(0, 40)}`;
  const server = createServer(tellPid);
  // The lock alone must not keep the process alive.
  server.unref();
  try {
    await listen(server, name);
  } catch (error) {
    if (!isAddressInUse(error)) throw error;
    throw lockedError(folder, await askPid(name));
  }
  return { release: () => closeServer(server) };
}

function tellPid(socket: Socket): void {
  socket.unref();
  socket.on("error", () => socket.destroy());
  socket.setTimeout(ANSWER_MS_MAX, () => socket.destroy());
  socket.resume();
  socket.end(`${String(process.pid)}\n`, () => {
    socket.destroySoon();
  });
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    // Exclusive: a worker of node:cluster must not share its primary's socket.
    server.listen({ path, exclusive: true }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    // The only error is that it is closed already.
    server.close(() => {
      resolve();
    });
  });
}

/** The holder's answer, or null when it does not give one in time. */
function askPid(path: string): Promise<number | null> {
  return new Promise((resolve) => {
    let answer = "";
    const socket = connect({ path });
    const timer = setTimeout(() => socket.destroy(), ANSWER_MS_MAX);
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => {
      answer += text;
      if (answer.length > ANSWER_BYTES_MAX) socket.destroy();
    });
    // Each error is followed by "close".
    socket.on("error", () => undefined);
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(/^[0-9]{1,10}\n$/.test(answer) ? Number(answer) : null);
    });
  });
}

function isAddressInUse(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EADDRINUSE";
}
