import { readFile } from "node:fs/promises";
import type { Prober, ProbeResult, ProbeTarget } from "@dinp/core";
import { DEFAULT_UID_BASE } from "./options.js";

export interface ListenerGuardOptions {
  /** As the runtime's. Null: instances share the platform's user, and nothing can be told. Default: 200,000 for root. */
  readonly uidBase?: number | null;
}

/** Local addresses that a connection to 127.0.0.1 can reach, as `/proc/net/tcp` and `tcp6` write them. */
const REACHED = new Set([
  "0100007F",
  "00000000",
  "00000000000000000000000000000000",
  "0000000000000000FFFF00000100007F",
]);
const LISTEN = "0A";

/**
 * A prober for instances of the process runtime: an answer counts only when it is the instance itself that listens on
 * its port. Between the choice of a port and the app's `listen`, another program of this machine (another app, too) may
 * take it; its answers must not make the instance ready, or requests would go there. The kernel names each listener's
 * user (proc_net_tcp), and an instance's user is `uidBase + port`.
 */
export function createListenerGuard(prober: Prober, options: ListenerGuardOptions = {}): Prober {
  const own = process.getuid?.() === 0 ? DEFAULT_UID_BASE : null;
  const uidBase = options.uidBase === undefined ? own : options.uidBase;
  if (uidBase === null) return prober;
  return {
    probe: async (target, probeOptions) => {
      const result = await prober.probe(target, probeOptions);
      return result.outcome === "success" ? confirm(result, target, uidBase + target.port) : result;
    },
  };
}

async function confirm(result: ProbeResult, target: ProbeTarget, uid: number): Promise<ProbeResult> {
  const strangers = (await listenersOn(target.port)).filter((other) => other !== uid);
  const [stranger] = strangers;
  if (stranger === undefined || result.outcome !== "success") return result;
  return {
    outcome: "failure",
    latencyMs: result.latencyMs,
    reason: `port ${String(target.port)} is held by another program (user ${String(stranger)})`,
    firstBytes: "",
  };
}

/** The users that listen on a port of this machine; none when the kernel does not tell. */
async function listenersOn(port: number): Promise<number[]> {
  const tables = await Promise.all(["/proc/net/tcp", "/proc/net/tcp6"].map(readTable));
  const suffix = port.toString(16).toUpperCase().padStart(4, "0");
  return tables.flatMap((table) =>
    table.split("\n").flatMap((line) => {
      const [, local = "", , state, , , , uid] = line.trim().split(/\s+/);
      const [address = "", localPort] = local.split(":");
      const isListener = state === LISTEN && localPort === suffix && REACHED.has(address);
      return isListener ? [Number(uid)] : [];
    }),
  );
}

function readTable(path: string): Promise<string> {
  return readFile(path, "latin1").catch(() => "");
}
