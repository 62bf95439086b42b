import { createMemoryStateStore } from "@dinp/core/memory";
import { createSystemClock } from "@dinp/core/system";
import { DinpError, type LogLine, type RolloutView } from "@dinp/core";
import { describe, expect, it } from "vitest";
import { createWorld } from "./world.js";

/** The lines, then nothing until the signal aborts; then the failure, if there is one. */
async function* linesOf(
  instanceId: string,
  texts: readonly string[],
  signal: AbortSignal,
  failure?: DinpError,
): AsyncGenerator<LogLine> {
  for (const text of texts) yield { instanceId, text };
  await new Promise((resolve) => {
    signal.addEventListener("abort", resolve, { once: true });
  });
  if (failure !== undefined) throw failure;
}

/** Reads on until a value is what the test waits for. */
async function until<T>(iterator: AsyncIterator<T>, wanted: (value: T) => boolean): Promise<T> {
  for (;;) {
    const next = await iterator.next();
    if (next.done === true) throw new Error("ended early");
    if (wanted(next.value)) return next.value;
  }
}

describe("following a rollout", () => {
  it("tells each change until it has ended", async () => {
    await using world = await createWorld();
    const number = await world.push("hello");
    const signal = AbortSignal.timeout(100_000);
    const rollout = world.platform.followRollout("hello", number, { signal })[Symbol.asyncIterator]();
    expect((await rollout.next()).value).toMatchObject({
      state: "pending",
      wanted: 1,
      ready: 0,
      instances: [],
    });
    await world.endRollout("hello", "running");
    await until(rollout, (view) => view.state === "running");
    await world.place("hello", "i-1", false);
    await until(rollout, (view) => view.instances[0]?.phase === "starting");
    await world.place("hello", "i-1", true);
    await until(rollout, (view) => view.ready === 1);
    await world.endRollout("hello", "complete");
    await until(rollout, (view) => view.state === "complete");
    expect(await rollout.next()).toEqual({ done: true, value: undefined });
  });

  it("ends at once for one that has ended, and when the app is deleted", async () => {
    await using world = await createWorld();
    const number = await world.push("hello");
    const signal = AbortSignal.timeout(100_000);
    const open = world.platform.followRollout("hello", number, { signal })[Symbol.asyncIterator]();
    await open.next();
    await world.platform.deleteApp("hello", {}, world.write());
    await until(open, (view) => view.state === "superseded");
    expect((await open.next()).done).toBe(true);
    const ended: RolloutView[] = [];
    for await (const view of world.platform.followRollout("hello", number, { signal })) ended.push(view);
    expect(ended).toMatchObject([{ state: "superseded", reason: "the app was deleted" }]);
    await expect(world.platform.getRollout("hello", 99)).rejects.toMatchObject({ code: "DINP_NOT_FOUND" });
  });

  it("ends without an error when its signal aborts, and with one when the store closes", async () => {
    await using world = await createWorld();
    const number = await world.push("hello");
    const stop = new AbortController();
    const one = world.platform
      .followRollout("hello", number, { signal: stop.signal })
      [Symbol.asyncIterator]();
    await one.next();
    const end = one.next();
    stop.abort();
    expect(await end).toEqual({ done: true, value: undefined });
    const two = world.platform.followRollout("hello", number, { signal: AbortSignal.timeout(100_000) });
    const views = two[Symbol.asyncIterator]();
    await views.next();
    await world.store.close();
    await expect(views.next()).rejects.toMatchObject({ code: "DINP_CLOSED" });
  });
});

describe("following events", () => {
  it("tells the newest, then each new one once", async () => {
    await using world = await createWorld();
    await world.push("hello");
    const signal = AbortSignal.timeout(100_000);
    const events = world.platform
      .followEvents({ app: "hello", limit: 1 }, { signal })
      [Symbol.asyncIterator]();
    expect((await events.next()).value).toMatchObject({ type: "release.created" });
    await world.push("other");
    await world.platform.stopApp("hello", world.write());
    expect((await events.next()).value).toMatchObject({ type: "app.stopped", appName: "hello" });
  });

  it("tells only new ones with a limit of 0", async () => {
    await using world = await createWorld();
    await world.push("hello");
    const signal = AbortSignal.timeout(100_000);
    const events = world.platform.followEvents({ limit: 0 }, { signal })[Symbol.asyncIterator]();
    const told = { any: false };
    const next = events.next().finally(() => {
      told.any = true;
    });
    // The first one may come before the stream is open.
    while (!told.any) {
      await world.platform.stopApp("hello", world.write());
      await world.platform.startApp("hello", world.write());
    }
    expect((await next).value).toMatchObject({
      type: expect.stringMatching(/^app\.(stopped|started)$/) as string,
    });
  });

  it("loses none when the change log is cut behind it", async () => {
    const store = createMemoryStateStore({ clock: createSystemClock(), changeLogCommits: 1 });
    await using world = await createWorld({ store });
    await world.push("hello");
    const signal = AbortSignal.timeout(100_000);
    const events = world.platform.followEvents({ app: "hello" }, { signal })[Symbol.asyncIterator]();
    await until(events, (event) => event.type === "release.created");
    for (let instances = 2; instances < 40; instances += 1) {
      await world.platform.scaleApp("hello", { instances }, world.write());
    }
    const told: string[] = [];
    while (told.length < 38) told.push((await until(events, () => true)).message);
    const expected = Array.from({ length: 38 }, (_, index) => `to ${String(index + 2)} instances`);
    expect(told.map((message) => message.slice(message.indexOf("to ")))).toEqual(expected);
  });

  it.each([0, -1, 1_001, NaN])("refuses the limit %s", async (limit) => {
    await using world = await createWorld();
    await expect(world.platform.listEvents({ limit })).rejects.toMatchObject({ code: "DINP_INVALID" });
  });
});

describe("logs", () => {
  it("asks only instances that were started; a followed one is read once it has", async () => {
    await using world = await createWorld();
    await world.push("hello");
    await world.place("hello", "i-1", true);
    await world.place("hello", "i-2", false);
    for (const id of ["i-1", "i-2"]) world.logLines.set(id, [`from ${id}`]);
    const signal = AbortSignal.timeout(100_000);
    const past: string[] = [];
    for await (const { text } of world.platform.logs("hello", {}, { signal })) past.push(text);
    expect(past).toEqual(["from i-1"]);
    const followed = world.platform.logs("hello", { follow: true }, { signal })[Symbol.asyncIterator]();
    expect((await followed.next()).value).toMatchObject({ text: "from i-1" });
    await world.place("hello", "i-2", true);
    expect((await followed.next()).value).toMatchObject({ text: "from i-2" });
    await followed.return?.();
  });

  it("gives the last lines of all instances, or of one", async () => {
    await using world = await createWorld();
    await world.push("hello");
    for (const id of ["i-1", "i-2"]) {
      await world.place("hello", id, true);
      world.logLines.set(id, [`${id} one`, `${id} two`]);
    }
    const read = async (request: object) => {
      const lines: string[] = [];
      const signal = AbortSignal.timeout(100_000);
      for await (const { text } of world.platform.logs("hello", request, { signal })) lines.push(text);
      return lines;
    };
    expect(await read({})).toEqual(["i-1 one", "i-1 two", "i-2 one", "i-2 two"]);
    expect(await read({ tail: 1 })).toEqual(["i-1 two", "i-2 two"]);
    expect(await read({ instance: "i-2", tail: 1 })).toEqual(["i-2 two"]);
    await expect(read({ instance: "i-9" })).rejects.toMatchObject({
      code: "DINP_NOT_FOUND",
      hint: "It has i-1, i-2.",
    });
    await expect(read({ tail: 1e9 })).rejects.toMatchObject({ code: "DINP_INVALID" });
  });

  it("follows instances that come later, and ends by its signal", async () => {
    await using world = await createWorld();
    await world.push("hello");
    await world.place("hello", "i-1", true);
    world.logLines.set("i-1", ["first"]);
    const stop = new AbortController();
    const logs = world.platform
      .logs("hello", { follow: true }, { signal: stop.signal })
      [Symbol.asyncIterator]();
    expect((await logs.next()).value).toEqual({ instanceId: "i-1", text: "first" });
    world.logLines.set("i-2", ["from the new one"]);
    await world.place("hello", "i-2", true);
    expect((await logs.next()).value).toEqual({ instanceId: "i-2", text: "from the new one" });
    world.logLines.get("i-1")?.push("second");
    expect((await logs.next()).value).toEqual({ instanceId: "i-1", text: "second" });
    const end = logs.next();
    stop.abort();
    expect((await end).done).toBe(true);
  });

  it("gives the last lines before the crash when nothing runs", async () => {
    await using world = await createWorld();
    await world.push("hello");
    const [app] = await world.records("app");
    await world.put("crash", {
      releaseId: app?.currentRelease ?? "",
      appId: app?.id ?? "",
      failures: 1,
      lastAt: 1,
      lastInstanceId: "i-0",
      lastReason: "exited",
      lastCause: "exited",
      logTail: ["a", "b"],
    });
    const lines: string[] = [];
    const signal = AbortSignal.timeout(100_000);
    for await (const { text } of world.platform.logs("hello", {}, { signal })) lines.push(text);
    expect(lines).toEqual(["a", "b"]);
  });

  it("says so in a line when a node does not answer", async () => {
    await using world = await createWorld({
      logs: {
        logs: (request) => ({
          [Symbol.asyncIterator]: () => ({
            next: () => Promise.reject(new Error(`no node for ${request.instanceId}`)),
          }),
        }),
      },
    });
    await world.push("hello");
    await world.place("hello", "i-1", true);
    for (const follow of [false, true]) {
      const signal = AbortSignal.timeout(100_000);
      const logs = world.platform.logs("hello", { follow }, { signal })[Symbol.asyncIterator]();
      expect((await logs.next()).value).toEqual({
        instanceId: "i-1",
        text: "(the log cannot be read now: no node for i-1)",
      });
      await logs.return?.();
    }
  });

  it("is read on when a node is away for a while, and holds up no other instance's", async () => {
    const away = new DinpError("DINP_UNAVAILABLE", "The node is not connected.", { retryable: true });
    const asked: (number | undefined)[] = [];
    const held = new AbortController();
    await using world = await createWorld({
      logs: {
        logs: ({ instanceId, tail, signal }) => {
          if (instanceId !== "i-1") return linesOf(instanceId, ["other"], signal);
          asked.push(tail);
          if (asked.length === 2) throw away;
          return linesOf(
            "i-1",
            [`line ${String(asked.length)}`],
            asked.length === 1 ? held.signal : signal,
            away,
          );
        },
      },
    });
    await world.push("hello");
    await world.place("hello", "i-1", true);
    await world.place("hello", "i-2", true);
    const signal = AbortSignal.timeout(100_000);
    const logs = world.platform.logs("hello", { follow: true, tail: 5 }, { signal })[Symbol.asyncIterator]();
    const next = async (): Promise<string> => ((await logs.next()).value as LogLine).text;
    expect([await next(), await next()].sort()).toEqual(["line 1", "other"]);
    held.abort();
    expect(await next()).toBe(
      "(the log cannot be read now: The node is not connected. Trying again; lines may be missing.)",
    );
    expect(await next()).toBe("line 3");
    // What was shown is not asked for again.
    expect(asked).toEqual([5, 0, 0]);
    await logs.return?.();
  });

  it("ends with an error when this server leads no more", async () => {
    const details = { leads: false };
    const former = new DinpError("DINP_UNAVAILABLE", "It does not lead.", { retryable: true, details });
    await using world = await createWorld({
      logs: {
        logs: () => {
          throw former;
        },
      },
    });
    await world.push("hello");
    await world.place("hello", "i-1", true);
    const signal = AbortSignal.timeout(100_000);
    const logs = world.platform.logs("hello", { follow: true }, { signal })[Symbol.asyncIterator]();
    await expect(logs.next()).rejects.toBe(former);
  });
});
