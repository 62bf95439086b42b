import assert from "node:assert/strict";
import type { Socket } from "node:net";
import type { Prober, ProbeResult, ProbeTarget } from "../ports/prober.js";

/** Cases by name. */
export type ProberCases = Readonly<Record<string, (prober: Prober) => Promise<void>>>;

export type Check = ProbeTarget["check"];

export const HTTP: Check = { type: "http", path: "/health?x=1", statusMin: 200, statusMax: 399 };
export const TCP: Check = { ...HTTP, type: "tcp" };

/** A probe of 127.0.0.1 that nobody aborts. */
export function probe(prober: Prober, port: number, check: Check, timeoutMs = 5_000): Promise<ProbeResult> {
  const { signal } = new AbortController();
  return prober.probe({ host: "127.0.0.1", port, check }, { timeoutMs, signal });
}

export function failureOf(result: ProbeResult): Extract<ProbeResult, { readonly outcome: "failure" }> {
  if (result.outcome !== "failure") assert.fail(`expected a failure, got ${JSON.stringify(result)}`);
  return result;
}

/** Takes what comes and says nothing. */
export function ignore(socket: Socket): void {
  socket.resume();
}
