import { request as httpRequest } from "node:http";
import { connect, isIPv6 } from "node:net";
import type { ProbeResult, ProbeTarget } from "@dinp/core";
import { explain, firstBytesOf, isOwnFault } from "./explain.js";

/** Bytes of a failing answer's body that are read for its explanation. */
const READ_MAX = 4_096;
/** How long they are waited for. */
const READ_MS = 200;

/** Ends a probe; only the first call counts. */
type Settle = (result: ProbeResult) => void;

/** A probe on its way: `cancel` closes its connection and settles nothing. */
export interface Asking {
  cancel(): void;
}

/** Opens a fresh connection and sends `GET path`; success is a status in the check's range, its body unread. */
export function askHttp(target: ProbeTarget, startedAt: number, settle: Settle): Asking {
  const { host, port, check } = target;
  const request = httpRequest({
    host,
    port,
    path: check.path,
    method: "GET",
    agent: false,
    insecureHTTPParser: false,
    headers: { host: hostField(host, port), "user-agent": "dinp-probe", accept: "*/*" },
  });
  request.on("error", (error) => {
    settle(afterError(error, startedAt));
  });
  // A switch to another protocol is an answer as well, but not one that was asked for.
  request.on("upgrade", (answer, socket) => {
    socket.destroy();
    settle(failure(startedAt, statusReason(target, answer.statusCode ?? 0), ""));
  });
  request.on("response", (answer) => {
    const status = answer.statusCode ?? 0;
    answer.on("error", () => undefined);
    if (status >= check.statusMin && status <= check.statusMax) {
      request.destroy();
      settle({ outcome: "success", latencyMs: since(startedAt), status });
      return;
    }
    const chunks: Uint8Array[] = [];
    let read = 0;
    const end = (): void => {
      clearTimeout(timer);
      request.destroy();
      settle(failure(startedAt, statusReason(target, status), firstBytesOf(Buffer.concat(chunks))));
    };
    const timer = setTimeout(end, READ_MS);
    answer.on("data", (chunk: Uint8Array) => {
      chunks.push(chunk.subarray(0, READ_MAX - read));
      read += chunk.length;
      if (read >= READ_MAX) end();
    });
    answer.once("close", end);
  });
  request.end();
  return {
    cancel: () => {
      request.destroy();
    },
  };
}

/** Opens a connection and closes it again. */
export function askTcp(target: ProbeTarget, startedAt: number, settle: Settle): Asking {
  const socket = connect({ host: target.host, port: target.port });
  socket.on("error", (error) => {
    settle(afterError(error, startedAt));
  });
  socket.once("connect", () => {
    socket.destroy();
    settle({ outcome: "success", latencyMs: since(startedAt), status: null });
  });
  return {
    cancel: () => {
      socket.destroy();
    },
  };
}

/** A failure with its latency, in whole milliseconds. */
export function failure(startedAt: number, reason: string, firstBytes: string): ProbeResult {
  return { outcome: "failure", latencyMs: since(startedAt), reason, firstBytes };
}

function afterError(error: NodeJS.ErrnoException, startedAt: number): ProbeResult {
  const reason = explain(error);
  return isOwnFault(error) ? { outcome: "unknown", reason } : failure(startedAt, reason, "");
}

function statusReason({ check }: ProbeTarget, status: number): string {
  const { statusMin, statusMax } = check;
  const wanted = statusMin === statusMax ? String(statusMin) : `${String(statusMin)}-${String(statusMax)}`;
  return `status ${String(status)} (want ${wanted})`;
}

function hostField(host: string, port: number): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${String(port)}`;
}

function since(startedAt: number): number {
  return Math.round(performance.now() - startedAt);
}
