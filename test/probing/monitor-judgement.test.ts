import {
  defaultMonitorPolicy,
  initialObservation,
  initialSight,
  judge,
  type JudgementInput,
  monitorIntervalMs,
  type MonitorSight,
  nextObservationAt,
  type Observation,
  observe,
  type ProbeResult,
  withdrawnMax,
} from "@dinp/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

const policy = { ...defaultMonitorPolicy, failureThreshold: 3, successThreshold: 2, calmMs: 100 };
const success: ProbeResult = { outcome: "success", latencyMs: 3, status: 200 };
const failure: ProbeResult = {
  outcome: "failure",
  latencyMs: 11.6,
  reason: "status 503 (want 200-399)",
  firstBytes: "down for a while",
};
const unknown: ProbeResult = { outcome: "unknown", reason: "no file descriptors" };

/** Instances of apps, probed in rounds of ten milliseconds, a millisecond apart. */
class World {
  readonly observations = new Map<string, Observation>();
  readonly withdrawn = new Set<string>();
  readonly byOthers = new Set<string>();
  sight: MonitorSight = initialSight;
  now = 0;

  add(appId: string, count: number): void {
    for (let i = 1; i <= count; i += 1) {
      const times = { now: this.now, intervalMs: 10, spread: 0 };
      this.observations.set(`${appId}-${String(i)}`, initialObservation({ appId, answers: true }, times));
    }
  }

  probe(id: string, result: ProbeResult): void {
    const known = this.observations.get(id);
    if (known === undefined) throw new Error(id);
    this.now += 1;
    const times = { begunAt: this.now - 0.5, endedAt: this.now };
    this.observations.set(id, observe(known, result, times, policy));
  }

  /** Each is probed once; those that are named fail. */
  round(...failing: readonly string[]): void {
    for (const id of this.observations.keys()) this.probe(id, failing.includes(id) ? failure : success);
  }

  judge(more: Partial<JudgementInput> = {}) {
    const judgement = judge({
      ...{ observations: this.observations, own: this.withdrawn, sight: this.sight },
      isWithdrawn: (id) => this.withdrawn.has(id) || this.byOthers.has(id),
      ...{ now: this.now, policy },
      ...more,
    });
    this.sight = judgement.sight;
    return judgement;
  }

  /** Judges, and takes what is withdrawn and given back as done. */
  act(): readonly string[] {
    const { withdraw, giveBack, drop } = this.judge();
    for (const { instanceId } of withdraw) this.withdrawn.add(instanceId);
    for (const { instanceId } of giveBack) this.withdrawn.delete(instanceId);
    for (const id of drop) this.withdrawn.delete(id);
    return withdraw.map(({ instanceId }) => instanceId);
  }
}

function worldOf(apps: Readonly<Record<string, number>>): World {
  const world = new World();
  for (const [appId, count] of Object.entries(apps)) world.add(appId, count);
  return world;
}

describe("a monitor's judgement", () => {
  it("withdraws after failures in a row, and says what the last one looked like", () => {
    const world = worldOf({ a: 2, b: 2 });
    world.round("a-1");
    world.round("a-1");
    expect(world.judge().withdraw).toEqual([]);
    world.round("a-1");
    expect(world.judge().withdraw).toEqual([
      {
        instanceId: "a-1",
        appId: "a",
        reason:
          '3 probes in a row from outside failed, the last: status 503 (want 200-399) after 12 ms, body "down for a while"',
      },
    ]);
    world.act();
    world.round("a-1");
    expect(world.judge()).toMatchObject({ withdraw: [], giveBack: [], drop: [], keep: [] });
  });

  it("begins to count anew after one success, and counts no probe that could not be made", () => {
    const world = worldOf({ a: 2, b: 2 });
    for (const result of [failure, failure, success, failure, unknown, unknown, failure]) {
      world.round();
      world.probe("a-1", result);
    }
    expect(world.act()).toEqual([]);
    world.probe("a-1", failure);
    world.round("a-1");
    expect(world.act()).toEqual(["a-1"]);
  });

  it("waits until all others have been probed since the first failure", () => {
    const world = worldOf({ a: 2, b: 2 });
    world.round();
    for (let i = 0; i < 5; i += 1) world.probe("a-1", failure);
    for (const id of ["a-2", "b-1"]) world.probe(id, success);
    expect(world.judge().withdraw).toEqual([]);
    world.probe("b-2", success);
    expect(world.act()).toEqual(["a-1"]);
  });

  it("does not wait for an instance that has just come", () => {
    const world = worldOf({ a: 2, b: 2 });
    for (let i = 0; i < 3; i += 1) world.round("a-1");
    world.add("c", 1);
    expect(world.act()).toEqual(["a-1"]);
  });

  it("takes at most half of an app's instances, the longest failing first, and says what it keeps", () => {
    const world = worldOf({ a: 3, b: 6 });
    world.round("a-3");
    for (let i = 0; i < 3; i += 1) world.round("a-3", "a-2", "a-1");
    const { withdraw, keep } = world.judge();
    expect(withdraw.map(({ instanceId }) => instanceId)).toEqual(["a-3"]);
    expect(keep.map(({ instanceId }) => instanceId)).toEqual(["a-1", "a-2"]);
  });

  it("keeps the only instance of an app", () => {
    const world = worldOf({ a: 1, b: 3 });
    for (let i = 0; i < 4; i += 1) world.round("a-1");
    expect(world.act()).toEqual([]);
  });

  it("counts what other monitors have withdrawn of the app, and may say the same of an instance as they", () => {
    const world = worldOf({ a: 2, b: 4 });
    world.byOthers.add("a-2");
    for (let i = 0; i < 3; i += 1) world.round("a-1");
    expect(world.act()).toEqual([]);
    world.byOthers.add("a-1");
    expect(world.act()).toEqual(["a-1"]);
  });

  it("gives back after successes in a row, and drops what is not ready any more", () => {
    const world = worldOf({ a: 2, b: 4 });
    for (let i = 0; i < 3; i += 1) world.round("a-1", "b-1");
    expect(world.act()).toEqual(["a-1", "b-1"]);
    world.round("b-1");
    expect(world.judge().giveBack).toEqual([]);
    world.round("b-1");
    expect(world.judge().giveBack).toEqual([
      { instanceId: "a-1", appId: "a", reason: "it answers its monitor again" },
    ]);
    world.observations.delete("b-1");
    expect(world.judge().drop).toEqual(["b-1"]);
    world.act();
    expect(world.withdrawn.size).toBe(0);
  });

  it("holds what it withdrew before its own start as failing until it answers", () => {
    const world = worldOf({ b: 3 });
    const times = { now: 0, intervalMs: 10, spread: 0 };
    world.observations.set("b-1", initialObservation({ appId: "b", answers: false }, times));
    world.withdrawn.add("b-1");
    world.round();
    expect(world.judge()).toMatchObject({ giveBack: [], drop: [], withdraw: [] });
    world.round();
    expect(world.judge().giveBack).toHaveLength(1);
  });
});

describe("a monitor that cannot see", () => {
  it("withdraws nothing when more than half of its probes fail, and gives back what it withdrew", () => {
    const world = worldOf({ a: 2, b: 3 });
    for (let i = 0; i < 3; i += 1) world.round("a-1", "b-1");
    expect(world.act()).toEqual(["a-1", "b-1"]);
    world.round("a-1", "b-1", "b-2");
    const { sight, withdraw, giveBack } = world.judge();
    expect(sight.suspendedSince).toBe(world.now);
    expect(withdraw).toEqual([]);
    expect(giveBack.map(({ instanceId }) => instanceId)).toEqual(["a-1", "b-1"]);
    expect(giveBack[0]?.reason).toBe(
      "most probes of its monitor fail at once, 3 of 5: the fault is more likely there",
    );
  });

  it("holds against itself what it could not even try", () => {
    const world = worldOf({ a: 2, b: 2 });
    for (let i = 0; i < 3; i += 1) world.round("a-1");
    for (const id of ["b-1", "b-2"]) world.probe(id, unknown);
    expect(world.act()).toEqual([]);
    expect(world.sight.suspendedSince).not.toBeNull();
  });

  it("judges again after a time of calm, which any new trouble begins anew", () => {
    const world = worldOf({ a: 2, b: 2 });
    for (let i = 0; i < 3; i += 1) world.round("a-1", "a-2", "b-1");
    expect(world.act()).toEqual([]);
    const since = world.sight.suspendedSince;
    world.round("a-1");
    world.act();
    world.now += 99;
    expect(world.act()).toEqual([]);
    expect(world.sight.suspendedSince).toBe(since);
    world.round("a-1", "a-2", "b-1");
    world.act();
    world.round("a-1");
    world.act();
    world.now += 99;
    expect(world.act()).toEqual([]);
    world.now += 1;
    expect(world.act()).toEqual(["a-1"]);
    expect(world.sight.suspendedSince).toBeNull();
  });

  it("withdraws nothing when it is cut off from all, whatever the order of the probes", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom("a-1", "a-2", "b-1", "b-2", "b-3"), { maxLength: 80 }),
        (order) => {
          const world = worldOf({ a: 2, b: 3 });
          world.round();
          for (const id of order) {
            world.probe(id, failure);
            expect(world.act()).toEqual([]);
          }
        },
      ),
    );
  });

  it("never leaves an app with fewer than half of its instances, whatever it sees", () => {
    const step = fc.record({
      id: fc.constantFrom("a-1", "b-1", "b-2", "c-1", "c-2", "c-3", "c-4", "c-5"),
      result: fc.constantFrom(success, failure, unknown),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const world = worldOf({ a: 1, b: 2, c: 5 });
        for (const { id, result } of steps) {
          world.probe(id, result);
          world.act();
          for (const [appId, count] of [
            ["a", 1],
            ["b", 2],
            ["c", 5],
          ] as const) {
            const gone = [...world.withdrawn].filter((each) => each.startsWith(appId)).length;
            expect(gone).toBeLessThanOrEqual(withdrawnMax(count));
          }
          if (world.sight.suspendedSince !== null) expect(world.withdrawn.size).toBe(0);
        }
      }),
    );
  });
});

describe("a monitor's schedule", () => {
  it("keeps to the release's interval within its own bounds", () => {
    const intervals = [1, 7_000, 600_000].map((intervalMs) =>
      monitorIntervalMs({ intervalMs }, defaultMonitorPolicy),
    );
    expect(intervals).toEqual([5_000, 7_000, 15_000]);
  });

  it("spreads first probes over the interval, and moves later ones by a tenth", () => {
    const first = (spread: number): number =>
      nextObservationAt(
        initialObservation({ appId: "a", answers: true }, { now: 100, intervalMs: 10, spread }),
        10,
        0.5,
      );
    expect([first(0), first(0.5)]).toEqual([110, 105]);
    const probed = observe(
      initialObservation({ appId: "a", answers: true }, { now: 0, intervalMs: 10, spread: 0 }),
      success,
      { begunAt: 100, endedAt: 101 },
      policy,
    );
    expect([0, 0.5].map((jitter) => nextObservationAt(probed, 10, jitter))).toEqual([110, 111]);
  });
});
