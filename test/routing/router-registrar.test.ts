import { createRouterRegistrar, DinpError, type Clock, type RouterRegistrar } from "@dinp/core";
import { createSystemClock } from "@dinp/core/system";
import { afterEach, expect, it } from "vitest";
import { MemoryLocalState } from "../loops/scripted-runtime.js";
import { until } from "../adapters/support/until.js";

const HOUR_MS = 3_600_000;
const system = createSystemClock();

/** A platform that knows one router, or does not answer. */
class Platform {
  registeredAt: number | null = null;
  failure: Error | null = null;
  hangs = false;
  asked = 0;
  #now = 1;

  readonly register = async ({ signal }: { signal: AbortSignal }): Promise<{ registeredAt: number }> => {
    this.asked += 1;
    if (this.hangs) await system.sleep(60_000, { signal });
    if (this.failure !== null) throw this.failure;
    this.registeredAt ??= this.#now++;
    return { registeredAt: this.registeredAt };
  };
}

/** Waits as short as they can be, and a time of day that the test sets. */
class QuickClock implements Clock {
  at = 0;
  now = (): number => this.at;
  monotonicMs = (): number => system.monotonicMs();
  sleep = (ms: number, options?: { signal?: AbortSignal }): Promise<void> =>
    system.sleep(ms / 1_000, options);
}

const endings: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

const platform = (): Platform => new Platform();
const down = new DinpError("DINP_UNAVAILABLE", "nobody answers");

function start(
  at: Platform,
  state: MemoryLocalState,
  { clock = new QuickClock(), ...more }: { clock?: QuickClock; routerId?: string; clusterId?: string } = {},
) {
  const told: string[] = [];
  const registrar: RouterRegistrar = createRouterRegistrar({
    ...{ routerId: "r", clusterId: "c", register: at.register, state, clock, trustMs: HOUR_MS, ...more },
    logger: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
    onUnwaited: () => {
      told.push(isOpen ? "after" : "before");
      return Promise.resolve();
    },
  });
  const stop = new AbortController();
  let isOpen = false;
  const registered = registrar.whenRegistered(stop.signal).then(() => {
    isOpen = true;
  });
  registered.catch(() => undefined);
  const ended = registrar.run(stop.signal);
  ended.catch(() => undefined);
  const end = async (): Promise<void> => {
    stop.abort();
    await ended.catch(() => undefined);
  };
  endings.push(end);
  return { registrar, registered, ended, end, told, isOpen: () => isOpen };
}

it("waits for the platform, however long, when it was never registered", async () => {
  const at = platform();
  at.failure = down;
  const { registrar, registered, told, isOpen } = start(at, new MemoryLocalState());
  await until(() => at.asked > 5, "some tries");
  expect([isOpen(), registrar.problem()]).toEqual([false, "nobody answers"]);
  at.failure = null;
  await registered;
  expect(registrar.problem()).toBeNull();
  // What it has from elsewhere is thrown away before it serves.
  expect(told).toEqual(["before"]);
});

it.each(["does not answer", "hangs"])("starts by its mark when the platform %s", async (how) => {
  const [at, state] = [platform(), new MemoryLocalState()];
  const first = start(at, state);
  await first.registered;
  await until(() => state.values.has("registration"), "the mark");
  await first.end();
  if (how === "hangs") at.hangs = true;
  else at.failure = down;
  const second = start(at, state);
  await second.registered;
  expect(second.told).toEqual([]);
});

it("does not start by a mark that is old, another router's, another cluster's or damaged", async () => {
  const [at, state] = [platform(), new MemoryLocalState()];
  const first = start(at, state);
  await first.registered;
  await until(() => state.values.has("registration"), "the mark");
  await first.end();
  at.failure = down;
  const late = new QuickClock();
  late.at = HOUR_MS + 1;
  const early = new QuickClock();
  early.at = -HOUR_MS - 1;
  for (const options of [{ clock: late }, { clock: early }, { routerId: "other" }, { clusterId: "other" }]) {
    const before = at.asked;
    const { isOpen, end } = start(at, state, options);
    await until(() => at.asked > before + 4, "some tries");
    expect(isOpen(), JSON.stringify(options)).toBe(false);
    await end();
  }
  state.values.set("registration", '{"routerId":"r","clusterId":"c"}');
  const { isOpen } = start(at, state);
  const before = at.asked;
  await until(() => at.asked > before + 4, "some tries");
  expect(isOpen()).toBe(false);
});

it("registers again when it was forgotten, at a start and later, and says so", async () => {
  const [at, state] = [platform(), new MemoryLocalState()];
  const first = start(at, state);
  await first.registered;
  at.registeredAt = null;
  await until(() => first.told.length === 2, "it was forgotten while it ran");
  expect(at.registeredAt).toBe(2);
  await first.end();
  at.registeredAt = null;
  const second = start(at, state);
  await second.registered;
  expect(second.told).toEqual(["before"]);
  const asked = at.asked;
  await until(() => at.asked > asked + 2, "some confirmations");
  expect(second.told).toEqual(["before"]);
});

it("ends with what waiting does not mend, unless it was registered before", async () => {
  const [at, state] = [platform(), new MemoryLocalState()];
  at.failure = new DinpError("DINP_UNAUTHENTICATED", "the token is not valid");
  await expect(start(at, state).ended).rejects.toMatchObject({ code: "DINP_UNAUTHENTICATED" });
  const revoked = at.failure;
  at.failure = null;
  const first = start(at, state);
  await first.registered;
  at.failure = revoked;
  await until(() => first.registrar.problem() === "the token is not valid", "the problem");
  await first.end();
  const second = start(at, state);
  await second.registered;
});

it("goes on when its mark cannot be kept, and is told nothing twice", async () => {
  const [at, state] = [platform(), new MemoryLocalState()];
  state.write = () => Promise.reject(new DinpError("DINP_UNAVAILABLE", "the disk is full"));
  const { registered, told } = start(at, state);
  await registered;
  await until(() => at.asked > 3, "some confirmations");
  expect(told).toEqual(["before"]);
});
