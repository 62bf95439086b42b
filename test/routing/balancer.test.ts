import { Attempts, Balancer, type ForwardOutcome } from "@dinp/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { route } from "./records.js";

const none: ReadonlySet<string> = new Set();
const failed = (
  reason: "connect" | "timeout" | "reset" | "bad-response",
  retryable: boolean,
): ForwardOutcome => ({
  kind: "failed",
  reason,
  retryable,
  message: "",
});
const answered: ForwardOutcome = { kind: "answered", status: 200, complete: true };

describe("Balancer", () => {
  it("chooses in turn, route by route", () => {
    const balancer = new Balancer();
    const [one, two] = [route("a.test", "/", ["a", "b"]), route("b.test", "/", ["a", "b", "c"])];
    const chosen = Array.from({ length: 6 }, () => balancer.choose(one, none, 0)?.instanceId);
    expect(chosen.join("")).toBe("ababab");
    const others = Array.from({ length: 6 }, () => balancer.choose(two, none, 0)?.instanceId);
    expect(others.join("")).toBe("abcabc");
  });

  it("spreads evenly over the endpoints that are left", () => {
    const balancer = new Balancer();
    const three = route("a.test", "/", ["a", "b", "c"]);
    balancer.failed("b", 0);
    const chosen = Array.from({ length: 8 }, () => balancer.choose(three, none, 1)?.instanceId);
    expect(chosen.sort().join("")).toBe("aaaacccc");
  });

  it("ejects for 1 s, then longer with every failure, at most 30 s, and forgets after an answer", () => {
    const balancer = new Balancer();
    let now = 0;
    const ejections: number[] = [];
    for (let i = 0; i < 7; i += 1) {
      balancer.failed("a", now);
      let ms = 0;
      while (balancer.isEjected("a", now + ms)) ms += 500;
      ejections.push(ms);
      // Failures of requests that were on their way do not lengthen it.
      balancer.failed("a", now + ms - 1);
      now += ms;
      expect(balancer.isEjected("a", now)).toBe(false);
    }
    expect(ejections).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    balancer.succeeded("a");
    balancer.failed("a", now);
    expect(balancer.isEjected("a", now + 1_000)).toBe(false);
  });

  it("forgets instances that are gone", () => {
    const balancer = new Balancer();
    for (const id of ["a", "b", "c"]) balancer.failed(id, 0);
    balancer.forget((id) => id === "b");
    expect(balancer.failing).toBe(1);
  });

  it("never leaves none: whatever failed, every untried endpoint can still be had", () => {
    const ids = ["a", "b", "c", "d"];
    fc.assert(
      fc.property(
        fc.subarray(ids, { minLength: 1 }),
        fc.array(fc.record({ id: fc.constantFrom(...ids), at: fc.nat(60_000), ok: fc.boolean() })),
        fc.nat(120_000),
        (present, history, now) => {
          const balancer = new Balancer();
          for (const { id, at, ok } of history) {
            if (ok) balancer.succeeded(id);
            else balancer.failed(id, at);
          }
          const tried = new Set<string>();
          const at = route("a.test", "/", present);
          while (tried.size < present.length) {
            const endpoint = balancer.choose(at, tried, now);
            expect(endpoint).not.toBeNull();
            const id = endpoint?.instanceId ?? "";
            expect(tried.has(id)).toBe(false);
            const sound = present.filter((each) => !tried.has(each) && !balancer.isEjected(each, now));
            if (sound.length > 0) expect(sound).toContain(id);
            tried.add(id);
          }
          expect(balancer.choose(at, tried, now)).toBeNull();
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe("Attempts", () => {
  const seven = route("a.test", "/", ["a", "b", "c", "d", "e", "f", "g"]);

  it.each([
    [undefined, 7],
    [{ attemptsMax: 5, totalMs: 100 }, 5],
  ])(
    "tries each endpoint once while the outcome is retryable, within the bound (%j: %d)",
    (policy, count) => {
      const attempts = new Attempts(new Balancer(), 0, policy);
      const tried: string[] = [];
      for (let endpoint = attempts.next(seven, 0); endpoint !== null; endpoint = attempts.next(seven, 0)) {
        tried.push(endpoint.instanceId);
        attempts.ended(endpoint, failed("connect", true), 0);
      }
      expect(new Set(tried).size).toBe(count);
      expect(attempts.count).toBe(count);
    },
  );

  it("83 reaches the one sound endpoint, whichever failed before and in whatever order they come", () => {
    const ids = Array.from({ length: 60 }, (_, index) => `i-${String(index)}`);
    fc.assert(
      fc.property(
        fc.constantFrom(...ids),
        fc.array(fc.record({ id: fc.constantFrom(...ids), at: fc.nat(60_000) })),
        fc.nat(59),
        fc.nat(120_000),
        (sound, history, turns, now) => {
          const balancer = new Balancer();
          for (const { id, at } of history) balancer.failed(id, at);
          const many = route("a.test", "/", ids);
          for (let turn = 0; turn < turns; turn += 1) balancer.choose(many, none, now);
          const attempts = new Attempts(balancer, now);
          let reached: string | undefined;
          for (let next = attempts.next(many, now); next !== null; next = attempts.next(many, now)) {
            reached = next.instanceId;
            attempts.ended(next, reached === sound ? answered : failed("connect", true), now);
          }
          expect(reached).toBe(sound);
        },
      ),
    );
  });

  it.each([
    ["an answer", answered],
    ["a client that has gone", { kind: "client-gone" } as const],
    ["a failure that must not be repeated", failed("reset", false)],
  ])("stops after %s", (_, outcome) => {
    const attempts = new Attempts(new Balancer(), 0);
    const endpoint = attempts.next(seven, 0);
    if (endpoint === null) throw new Error("no endpoint");
    attempts.ended(endpoint, outcome, 0);
    expect(attempts.next(seven, 0)).toBeNull();
  });

  it("begins no attempt after its time is over", () => {
    const attempts = new Attempts(new Balancer(), 0, { attemptsMax: 5, totalMs: 100 });
    const endpoint = attempts.next(seven, 50);
    if (endpoint === null) throw new Error("no endpoint");
    attempts.ended(endpoint, failed("connect", true), 100);
    expect(attempts.next(seven, 100)).toBeNull();
  });

  it.each([
    ["connect", failed("connect", true), true],
    ["reset", failed("reset", false), true],
    ["bad-response", failed("bad-response", false), true],
    ["timeout", failed("timeout", false), false],
    ["client-gone", { kind: "client-gone" } as const, false],
    ["answered", answered, false],
  ])("%s: ejects or not", (_, outcome, ejects) => {
    const balancer = new Balancer();
    const attempts = new Attempts(balancer, 0);
    const endpoint = attempts.next(seven, 0);
    if (endpoint === null) throw new Error("no endpoint");
    attempts.ended(endpoint, outcome, 0);
    expect(balancer.isEjected(endpoint.instanceId, 1)).toBe(ejects);
  });
});
