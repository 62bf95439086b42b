import { request } from "node:http";
import { connect, type Socket } from "node:net";
import { DinpError, isDinpError, type Prober, type ProbeResult, type ProbeTarget } from "@dinp/core";
import type { Mutant } from "./matrix.js";

type Options = Parameters<Prober["probe"]>[1];
type Failure = Extract<ProbeResult, { readonly outcome: "failure" }>;

/** A prober that changes what a good one is asked or what it answers. */
function changing(
  change: (prober: Prober, target: ProbeTarget, options: Options) => Promise<ProbeResult>,
): (prober: Prober) => Prober {
  return (prober) => ({ probe: (target, options) => change(prober, target, options) });
}

/** Changes failures alone. */
function failing(change: (result: Failure, target: ProbeTarget) => ProbeResult): (prober: Prober) => Prober {
  return changing(async (prober, target, options) => {
    const result = await prober.probe(target, options);
    return result.outcome === "failure" ? change(result, target) : result;
  });
}

function success(status: number | null): ProbeResult {
  return { outcome: "success", latencyMs: 0, status };
}

function isDeaf({ reason, latencyMs }: Failure, target: ProbeTarget): boolean {
  return target.check.type === "tcp" && reason.startsWith("no answer") && latencyMs > 0;
}

/** Opens a connection that nobody closes before its other side does. */
function leak({ host, port }: ProbeTarget): Socket {
  const socket = connect({ host, port });
  socket.on("error", () => undefined);
  socket.resume();
  return socket;
}

/** True when bytes come without a request, within a second. */
async function speaksFirst({ host, port }: ProbeTarget): Promise<boolean> {
  const socket = connect({ host, port });
  const spoke = await new Promise<boolean>((resolve) => {
    socket.setTimeout(1_000, () => {
      resolve(false);
    });
    socket.once("error", () => {
      resolve(false);
    });
    socket.once("data", () => {
      resolve(true);
    });
  });
  socket.destroy();
  return spoke;
}

async function readWhole({ host, port, check }: ProbeTarget): Promise<void> {
  await new Promise<void>((resolve) => {
    const asking = request({ host, port, path: check.path, agent: false });
    asking.on("error", () => undefined);
    asking.once("response", (answer) => answer.on("error", () => undefined).resume());
    asking.once("close", resolve);
    asking.end();
  });
}

/** Probers that break one sentence of the port's contract each. */
export const proberMutants: readonly Mutant<Prober>[] = [
  {
    name: "asks for the path without its query",
    caughtBy: "succeeds on a status in the range, asking once with GET and the target's host",
    mutate: changing((prober, target, options) => {
      const path = target.check.path.replace(/\?.*$/, "");
      const good = path !== "/a b" && target.check.path.includes("?");
      return prober.probe(good ? { ...target, check: { ...target.check, path } } : target, options);
    }),
  },
  {
    name: "takes the upper end of the range for failure",
    caughtBy: "takes both ends of the range for success, and what is beyond them for failure",
    mutate: changing((prober, target, options) =>
      prober.probe({ ...target, check: { ...target.check, statusMax: target.check.statusMax - 1 } }, options),
    ),
  },
  {
    name: "takes the lower end of the range for failure",
    caughtBy: "takes both ends of the range for success, and what is beyond them for failure",
    mutate: changing((prober, target, options) => {
      const { statusMin } = target.check;
      const above = statusMin === 200 ? statusMin : statusMin + 1;
      return prober.probe({ ...target, check: { ...target.check, statusMin: above } }, options);
    }),
  },
  {
    name: "follows a redirect",
    caughtBy: "takes a redirect for the answer",
    mutate: changing(async (prober, target, options) => {
      const result = await prober.probe(target, options);
      if (result.outcome !== "failure" || !result.reason.includes("302")) return result;
      return prober.probe({ ...target, check: { ...target.check, path: "/elsewhere" } }, options);
    }),
  },
  {
    name: "gives the answer's body as it came",
    caughtBy: "fails on a status outside the range, with the beginning of the answer",
    mutate: failing((result) =>
      result.firstBytes.length > 100 ? { ...result, firstBytes: `${result.firstBytes}\u001b[31m` } : result,
    ),
  },
  {
    name: "gives the status for a body that there is not",
    caughtBy: "has no first bytes where there is no body",
    mutate: failing((result) =>
      result.firstBytes === "" ? { ...result, firstBytes: result.reason } : result,
    ),
  },
  {
    name: "says unknown where nothing listens",
    caughtBy: "fails where nothing listens",
    mutate: failing((result) =>
      /refused/.test(result.reason) ? { outcome: "unknown", reason: result.reason } : result,
    ),
  },
  {
    name: "tells of a time-out without saying which",
    caughtBy: "fails in time when no answer comes",
    mutate: failing((result, { check }) =>
      result.reason.startsWith("no answer") && check.type === "http" ? { ...result, latencyMs: 0 } : result,
    ),
  },
  {
    name: "says unknown when no connection comes about",
    caughtBy: "fails in time when no connection comes about",
    mutate: failing((result, target) =>
      isDeaf(result, target) ? { outcome: "unknown", reason: result.reason } : result,
    ),
  },
  {
    name: "lets every byte of the head extend the time-out",
    caughtBy: "fails in time when the head comes in drops",
    mutate: changing(async (prober, target, options) => {
      const result = await prober.probe(target, options);
      if (result.outcome !== "failure" || !result.reason.startsWith("no answer")) return result;
      return target.check.type === "http" && (await speaksFirst(target)) ? success(200) : result;
    }),
  },
  {
    name: "takes any bytes for an answer",
    caughtBy: "fails on an answer that is not HTTP",
    mutate: failing((result) => (/not HTTP/.test(result.reason) ? success(200) : result)),
  },
  {
    name: "takes a connection that is closed for an answer",
    caughtBy: "fails on a connection that is closed without an answer",
    mutate: failing((result) => (/closed before/.test(result.reason) ? success(200) : result)),
  },
  {
    name: "reads the whole body of an answer that fails",
    caughtBy: "does not wait for the end of the body",
    mutate: changing(async (prober, target, options) => {
      const result = await prober.probe(target, options);
      if (result.outcome === "failure" && result.firstBytes !== "") await readWhole(target);
      return result;
    }),
  },
  {
    name: "sends a request where connecting is the check",
    caughtBy: "succeeds by connecting alone where that is the check",
    mutate: changing((prober, target, options) =>
      prober.probe({ ...target, check: { ...target.check, type: "http" } }, options).then((result) => {
        const isTcp = target.check.type === "tcp";
        return isTcp && result.outcome === "success" ? { ...result, status: null } : result;
      }),
    ),
  },
  {
    name: "always took no time at all",
    caughtBy: "tells how long the answer took",
    mutate: changing(async (prober, target, options) => {
      const result = await prober.probe(target, options);
      return result.outcome === "success" ? { ...result, latencyMs: 0 } : result;
    }),
  },
  {
    name: "leaves a connection behind after a success",
    caughtBy: "uses a fresh connection for each probe and leaves none",
    mutate: changing(async (prober, target, options) => {
      const result = await prober.probe(target, options);
      if (result.outcome === "success") leak(target);
      return result;
    }),
  },
  {
    name: "leaves a connection behind after a time-out",
    caughtBy: "leaves no connection after a time-out",
    mutate: changing(async (prober, target, options) => {
      const result = await prober.probe(target, options);
      if (result.outcome === "failure" && result.reason.startsWith("no answer")) leak(target);
      return result;
    }),
  },
  {
    name: "an abort before the probe is ignored",
    caughtBy: "rejects with DINP_ABORTED, without a connection, when the signal has aborted",
    mutate: changing((prober, target, { timeoutMs, signal }) =>
      prober.probe(target, { timeoutMs, signal: signal.aborted ? new AbortController().signal : signal }),
    ),
  },
  {
    name: "an abort amid the probe is ignored",
    caughtBy: "rejects with DINP_ABORTED, and lets the connection go, when the signal aborts amid a probe",
    mutate: changing((prober, target, { timeoutMs, signal }) =>
      prober.probe(target, { timeoutMs, signal: signal.aborted ? signal : new AbortController().signal }),
    ),
  },
  {
    name: "an aborted probe leaves its connection behind",
    caughtBy: "rejects with DINP_ABORTED, and lets the connection go, when the signal aborts amid a probe",
    mutate: changing(async (prober, target, options) => {
      const wasAborted = options.signal.aborted;
      try {
        return await prober.probe(target, options);
      } catch (error) {
        if (!wasAborted && isDinpError(error, "DINP_ABORTED")) leak(target);
        throw error;
      }
    }),
  },
  {
    name: "an aborted probe is a failure of the instance",
    caughtBy: "rejects with DINP_ABORTED, and lets the connection go, when the signal aborts amid a probe",
    mutate: changing(async (prober, target, options) => {
      const wasAborted = options.signal.aborted;
      try {
        return await prober.probe(target, options);
      } catch (error) {
        if (wasAborted || !isDinpError(error, "DINP_ABORTED")) throw error;
        return { outcome: "failure", latencyMs: 0, reason: "aborted", firstBytes: "" };
      }
    }),
  },
  {
    name: "misuse is told as an invalid input",
    caughtBy: "rejects misuse with a TypeError",
    mutate: changing(async (prober, target, options) => {
      try {
        return await prober.probe(target, options);
      } catch (error) {
        if (error instanceof TypeError) throw new DinpError("DINP_INVALID", error.message);
        throw error;
      }
    }),
  },
  {
    name: "what it cannot try itself is a failure of the instance",
    caughtBy: "says unknown, and not failure, when it could not try itself",
    mutate: changing(async (prober, target, options) => {
      const result = await prober.probe(target, options);
      if (result.outcome !== "unknown") return result;
      return { outcome: "failure", latencyMs: 0, reason: result.reason, firstBytes: "" };
    }),
  },
];
