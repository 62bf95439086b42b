import assert from "node:assert/strict";
import type { Socket } from "node:net";
import type { Prober, ProbeResult, ProbeTarget } from "../ports/prober.js";

/** Cases by name. */
export type ProberCases = Readonly<Record<string, (prober: Prober) => Promise<void>>>;

export type Check = ProbeTarget["check"];

export const HTTP: Check = { type: "http", path: "/health?x=1", statusMin: 200, statusMax: 399 };
export const TCP: Check = { ...HTTP, type: "tcp" };

/** A probe of 127.0.0.1 that nobody aborts. */
export function probe(prober: Prober, port: number, check: Check, timeoutMs = 30_000): Promise<ProbeResult> {
  const { signal } = new AbortController();
  return prober.probe({ host: "127.0.0.1", port, check }, { timeoutMs, signal });
}

export function failureOf(result: ProbeResult): Extract<ProbeResult, { readonly outcome: "failure" }> {
  if (result.outcome !== "failure") assert.fail(`expected a failure, got ${JSON.stringify(result)}`);
  return result;
}

/** How often a prober may say that it could not judge, where this machine let it stand still. */
const TRIES_MAX = 5;

/** The failure that a probe must give. A prober that stood still has no verdict, and is asked again. */
export async function failureWithin(
  prober: Prober,
  port: number,
  check: Check,
  timeoutMs: number,
): Promise<ReturnType<typeof failureOf>> {
  for (let tries = 1; ; tries += 1) {
    const result = await probe(prober, port, check, timeoutMs);
    if (result.outcome !== "unknown" || tries === TRIES_MAX) return failureOf(result);
  }
}

/** Takes what comes and says nothing. */
export function ignore(socket: Socket): void {
  socket.resume();
}
