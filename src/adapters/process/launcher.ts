import { execFile, spawn, type ChildProcess } from "node:child_process";
import { Socket } from "node:net";
import { DinpError, messageOf } from "@dinp/core";

export interface LaunchOptions {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** User and group of the process; null for the platform's own. */
  readonly uid: number | null;
  /**
   * A descriptor that takes standard output and standard error (the caller closes its own end; the input is empty), or
   * `pipes` to this process, for the input too.
   */
  readonly output: number | "pipes";
  /** A `setpriv` that can set no-new-privs, or null. */
  readonly setpriv: string | null;
}

/** A process that waits, as the app's user and with its environment, for leave to become the app. */
export interface Launched {
  readonly pid: number;
  readonly child: ChildProcess;
  /** Lets it go on. Without this it ends, having run nothing of the app, also when this process dies. */
  release(): void;
  /** Has it end instead. */
  cancel(): void;
}

/** How the first process ended. */
export interface ChildEnd {
  readonly code: number | null;
  readonly signal: string | null;
}

// Waits for a line, then becomes the app. The end of the stream without one means that the platform has died.
const GATE = 'read -r _ <&3 || exit 125; exec "$@" 3<&-';
const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/;
const SETPRIV_CHECK_MS = 5_000;

/**
 * Starts the waiting process in a session and group of its own. User, group and the empty list of further groups are set before
 * anything of the app's environment is looked at, so that nothing in it (`LD_PRELOAD`) ever acts with more rights than the app's.
 * `DINP_UNAVAILABLE` when the machine is out of processes, files or memory; other errors are those of the command.
 */
export async function launch(options: LaunchOptions): Promise<Launched> {
  const { uid, setpriv, output, cwd } = options;
  const privileges = setpriv === null ? [] : [setpriv, "--no-new-privs", "--"];
  // A shell drops variables whose names it could not use itself; env(1) sets them again.
  const odd = Object.entries(options.env).filter(([name]) => !IDENTIFIER.test(name));
  const restore = odd.length === 0 ? [] : ["/usr/bin/env", ...odd.map(([name, value]) => `${name}=${value}`)];
  const child = spawn("/bin/sh", ["-c", GATE, "dinp-launch", ...privileges, ...restore, ...options.argv], {
    cwd,
    env: options.env,
    detached: true,
    stdio: output === "pipes" ? ["pipe", "pipe", "pipe", "pipe"] : ["ignore", output, output, "pipe"],
    ...(uid === null ? {} : { uid, gid: uid }),
  });
  const gate = child.stdio[3];
  if (gate instanceof Socket) gate.on("error", () => undefined);
  await spawned(child);
  const { pid } = child;
  if (pid === undefined || !(gate instanceof Socket))
    throw new DinpError("DINP_UNAVAILABLE", "The process could not be started.", { retryable: true });
  child.unref();
  gate.unref();
  return {
    pid,
    child,
    release: () => {
      gate.end("\n", () => gate.destroy());
    },
    cancel: () => {
      gate.destroy();
    },
  };
}

function spawned(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once("spawn", resolve);
    child.on("error", (error) => {
      const exhausted = /EAGAIN|EMFILE|ENFILE|ENOMEM/.test(messageOf(error));
      reject(
        exhausted
          ? new DinpError("DINP_UNAVAILABLE", `The machine cannot start a process now: ${messageOf(error)}`, {
              retryable: true,
              cause: error,
              hint: "Look at the limits of processes, open files and memory.",
            })
          : error,
      );
    });
  });
}

/** The path of a `setpriv` (util-linux) that works here, else null. */
export async function findSetpriv(): Promise<string | null> {
  for (const path of ["/usr/bin/setpriv", "/bin/setpriv"]) {
    const works = await new Promise<boolean>((resolve) => {
      execFile(
        path,
        ["--no-new-privs", "--", "/bin/sh", "-c", ":"],
        { timeout: SETPRIV_CHECK_MS, env: {} },
        (error) => {
          resolve(error === null);
        },
      );
    });
    if (works) return path;
  }
  return null;
}
