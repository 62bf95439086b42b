import { createHash } from "node:crypto";
import { mkdir, realpath } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { DinpError, isDinpError, messageOf, type Clock } from "@dinp/core";
import { closedFolder } from "./programs.js";
import { makeFolder, readIfThere, writeDurably } from "./durable-files.js";

/** A child that a killed platform was just forking has the platform's socket, too, until it runs its program. */
const LOCK_WAIT_MS = 1_000;
const LOCK_POLL_MS = 20;

/** The folders of a runtime. */
export interface DataDir {
  readonly imagesDir: string;
  readonly instancesDir: string;
  /** Of one-off commands; nothing in it outlives an open. */
  readonly runsDir: string;
  readonly programsDir: string;
  /** Names this runtime among those of the machine. */
  readonly shortId: string;
}

/**
 * Makes the folders at the first open, and at later ones insists that they are there and this cluster's. Users of instances may
 * pass through them and see no names in them (0711). `DINP_UNAVAILABLE`, `DINP_INVALID`.
 */
export async function openDataDir(dataDir: string, clusterId: string, uid: number | null): Promise<DataDir> {
  await mkdir(dataDir, { recursive: true, mode: 0o711 });
  const root = await realpath(dataDir);
  const places = {
    imagesDir: join(root, "images"),
    instancesDir: join(root, "instances"),
    runsDir: join(root, "runs"),
    programsDir: join(root, "programs"),
    shortId: createHash("sha256").update(root).digest("hex").slice(0, 12),
  };
  const file = join(root, "runtime.json");
  const owner = await readOwner(file);
  if (owner !== null && owner !== clusterId)
    throw new DinpError("DINP_INVALID", `${root} holds instances of cluster ${owner}, not of ${clusterId}.`, {
      hint: "Give each cluster a data folder of its own.",
    });
  await makeFolder(root, 0o711);
  if (owner === null) await mkdir(places.instancesDir, { recursive: true });
  await makeFolder(places.imagesDir, 0o711);
  await makeFolder(places.runsDir, 0o711);
  await makeFolder(places.programsDir, 0o711);
  // Not recursive once the runtime exists: a lost folder must not come back as "no instances".
  await chmodExisting(places.instancesDir);
  if (owner === null) await writeDurably(file, { clusterId });
  if (uid !== null) await assertReachable(root, uid);
  return places;
}

async function chmodExisting(dir: string): Promise<void> {
  await realpath(dir);
  await makeFolder(dir, 0o711);
}

async function assertReachable(root: string, uid: number): Promise<void> {
  const closed = await closedFolder(root, uid);
  if (closed === null) return;
  throw new DinpError(
    "DINP_UNAVAILABLE",
    `Apps run as users of their own and cannot reach ${root}: ${closed} is closed to them.`,
    {
      hint: `Choose a data folder such as /var/lib/dinp, or let others pass through: chmod o+x ${closed}`,
      details: { folder: closed },
    },
  );
}

async function readOwner(file: string): Promise<string | null> {
  const text = await readIfThere(file);
  if (text === null) return null;
  try {
    const value: unknown = JSON.parse(text);
    if (
      typeof value === "object" &&
      value !== null &&
      "clusterId" in value &&
      typeof value.clusterId === "string"
    )
      return value.clusterId;
  } catch {
    // Said below.
  }
  throw new DinpError("DINP_CORRUPT", `${file} does not name the cluster that the folder belongs to.`, {
    hint: 'Restore it from a backup, or write {"clusterId": "…"} with the id of the cluster.',
  });
}

/**
 * Holds the folder against a second runtime: an abstract Unix socket (unix(7)), which the kernel frees when the process ends,
 * however it ends. `DINP_LOCKED` when it is held for longer than a second.
 */
export async function lockDataDir(data: DataDir, clock: Clock): Promise<Server> {
  const giveUpAt = clock.monotonicMs() + LOCK_WAIT_MS;
  for (;;) {
    try {
      return await tryLockDataDir(data);
    } catch (error) {
      if (!isDinpError(error, "DINP_LOCKED") || clock.monotonicMs() >= giveUpAt) throw error;
      await clock.sleep(LOCK_POLL_MS);
    }
  }
}

function tryLockDataDir(data: DataDir): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      const taken = messageOf(error).includes("EADDRINUSE");
      reject(
        new DinpError(
          taken ? "DINP_LOCKED" : "DINP_UNAVAILABLE",
          taken
            ? `Another process runs instances from ${data.instancesDir}.`
            : `Cannot lock ${data.instancesDir}: ${messageOf(error)}`,
          {
            cause: error,
            retryable: !taken,
            hint: "End the other process first, or use another data folder.",
          },
        ),
      );
    });
    server.listen(`\0dinp-process-runtime-${data.shortId}`, () => {
      server.unref();
      resolve(server);
    });
  });
}
