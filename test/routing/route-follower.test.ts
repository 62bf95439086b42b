import {
  createRouteFollower,
  DinpError,
  RouteIndex,
  type Clock,
  type Logger,
  type Route,
  type RouteCache,
  type RouteChange,
  type RouteFollower,
  type RouterAcknowledgement,
  type RouteTable,
  type RouteTableSnapshot,
  type RouteTableVersion,
} from "@dinp/core";
import { createMemoryRouteTable } from "@dinp/core/memory";
import { createPinoLogger, createSystemClock, createSystemRandom } from "@dinp/core/system";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { route } from "./records.js";

const logger: Logger = createPinoLogger({ level: "silent" });

/** A real table behind a line that can be cut, or bent to another table. */
class Line implements RouteTable {
  table = createMemoryRouteTable({ random: createSystemRandom() });
  cut = false;
  /** What a reader sees instead of the table's snapshot. */
  glass: (() => RouteTableSnapshot) | null = null;
  #cutter = new AbortController();
  inFlight = 0;
  inFlightMax = 0;
  acknowledged: RouterAcknowledgement[] = [];

  /** From now on the line leads to another table. */
  bend(table: RouteTable): void {
    this.table = table;
    this.breakWatches();
  }

  breakWatches(): void {
    this.#cutter.abort();
    this.#cutter = new AbortController();
  }

  #check(): void {
    if (this.cut) throw new DinpError("DINP_UNAVAILABLE", "the line is cut", { retryable: true });
  }

  async snapshot(): Promise<RouteTableSnapshot> {
    this.#check();
    return this.glass?.() ?? this.table.snapshot();
  }

  apply(...args: Parameters<RouteTable["apply"]>): Promise<RouteTableVersion> {
    return this.table.apply(...args);
  }

  async *watch({ after, signal }: Parameters<RouteTable["watch"]>[0]): ReturnType<RouteTable["watch"]> {
    this.#check();
    yield* this.table.watch({ after, signal: AbortSignal.any([signal, this.#cutter.signal]) });
    this.#check();
  }

  async acknowledge(acknowledgement: RouterAcknowledgement): Promise<void> {
    this.#check();
    this.inFlight += 1;
    this.inFlightMax = Math.max(this.inFlightMax, this.inFlight);
    await new Promise((resolve) => setTimeout(resolve, 2));
    await this.table.acknowledge(acknowledgement);
    this.acknowledged.push(acknowledgement);
    this.inFlight -= 1;
  }

  acknowledgements(): ReturnType<RouteTable["acknowledgements"]> {
    return this.table.acknowledgements();
  }

  watchAcknowledgements(
    ...args: Parameters<RouteTable["watchAcknowledgements"]>
  ): ReturnType<RouteTable["watchAcknowledgements"]> {
    return this.table.watchAcknowledgements(...args);
  }

  close(): Promise<void> {
    return this.table.close();
  }
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const end = performance.now() + 60_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`${what} did not come within 60 s`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

describe("RouteFollower", () => {
  let line: Line;
  let follower: RouteFollower;
  let stop: AbortController;
  let running: Promise<void>;

  beforeEach(() => {
    line = new Line();
    follower = createRouteFollower({ table: line, routerId: "r-1", clock: createSystemClock(), logger });
    stop = new AbortController();
    running = follower.run(stop.signal);
  });

  afterEach(async () => {
    stop.abort();
    await running;
    await line.close();
  });

  async function put(...routes: Route[]): Promise<RouteTableVersion> {
    const { version } = await line.table.snapshot();
    return line.apply(
      routes.map((each) => ({ op: "put", route: each })),
      { epoch: Math.max(1, version.epoch), ifVersion: version },
    );
  }

  const at = (version: RouteTableVersion): Promise<void> =>
    until(
      () => JSON.stringify(follower.version()) === JSON.stringify(version),
      `version ${String(version.revision)}`,
    );
  const last = (): RouterAcknowledgement | undefined => line.acknowledged.at(-1);

  it("is ready with the first table and follows every change", async () => {
    await follower.whenReady(stop.signal);
    expect(follower.ready()).toBe(true);
    await at(await put(route("a.test", "/")));
    await at(await put(route("b.test", "/", ["i-2"])));
    expect(follower.index().find("b.test", "/x")?.endpoints[0]?.instanceId).toBe("i-2");
    await until(() => last()?.version.revision === 2, "the acknowledgement");
    expect(last()).toMatchObject({ routerId: "r-1", busy: [] });
  });

  it("says in its log what it serves while the table does not answer: the last good one, or nothing yet", async () => {
    const warnings: unknown[] = [];
    const warn = (message: string, fields: unknown): void => void warnings.push([message, fields]);
    const told: Logger = { ...logger, warn };
    const away = new Line();
    away.cut = true;
    const other = createRouteFollower({
      table: away,
      routerId: "r-2",
      clock: createSystemClock(),
      logger: told,
    });
    const end = new AbortController();
    const ended = other.run(end.signal);
    const said = (text: string): boolean => JSON.stringify(warnings).includes(text);
    await until(() => said("nothing is served"), "the warning");
    expect(said("the last good one")).toBe(false);
    away.cut = false;
    await other.whenReady(end.signal);
    away.cut = true;
    away.breakWatches();
    await until(() => said("the last good one is served"), "the other warning");
    end.abort();
    await ended;
    await away.close();
  });

  it("acknowledges many changes with few messages, one at a time, the newest at the end", async () => {
    await follower.whenReady(stop.signal);
    let version = await put(route("a.test", "/", ["i-0"]));
    for (let i = 1; i < 200; i += 1) version = await put(route("a.test", "/", [`i-${String(i)}`]));
    await at(version);
    await until(() => last()?.version.revision === 200, "the last acknowledgement");
    expect(line.inFlightMax).toBe(1);
    expect(line.acknowledged.length).toBeLessThan(100);
  });

  it("tells soon of an instance that left, as stops wait for that, and later of one that came", async () => {
    const system = createSystemClock();
    let release: () => void = () => undefined;
    const later = new Promise<void>((resolve) => {
      release = resolve;
    });
    const sleep: Clock["sleep"] = (ms, options) => (ms < 50 ? system.sleep(ms, options) : later);
    const other = createRouteFollower({ table: line, routerId: "r-2", clock: { ...system, sleep }, logger });
    const end = new AbortController();
    const ended = other.run(end.signal);
    const told = (): readonly number[] =>
      line.acknowledged.filter(({ routerId }) => routerId === "r-2").map(({ version }) => version.revision);
    await until(() => told().length === 1, "the acknowledgement of the first table");
    const came = await put(route("a.test", "/", ["i-1"]));
    await until(() => other.version()?.revision === came.revision, "the instance");
    const left = await put(route("a.test", "/", ["i-2"]));
    await until(() => told().at(-1) === left.revision, "the acknowledgement of the one that left");
    expect(told()).not.toContain(came.revision);
    const next = await put(route("a.test", "/", ["i-2", "i-3"]));
    await until(() => last()?.version.revision === next.revision, "the other router's acknowledgement");
    expect(told().at(-1)).toBe(left.revision);
    release();
    await until(() => told().at(-1) === next.revision, "the acknowledgement of the one that came");
    end.abort();
    await ended;
  });

  it("names instances off the table as busy until their last request has ended", async () => {
    await at(await put(route("a.test", "/", ["i-1", "i-2", "i-3"])));
    for (const id of ["i-1", "i-1", "i-2", "i-3"]) follower.begin(id);
    const version = await put(route("a.test", "/", ["i-3"]));
    await until(() => last()?.version.revision === version.revision, "the acknowledgement");
    expect(last()?.busy).toEqual(["i-1", "i-2"]);
    follower.end("i-1");
    follower.end("i-2");
    await until(() => last()?.busy.length === 1, "one less");
    expect(last()?.busy).toEqual(["i-1"]);
    follower.end("i-1");
    await until(() => last()?.busy.length === 0, "none");
    expect(() => {
      follower.end("i-1");
    }).toThrow(TypeError);
    follower.end("i-3");
  });

  it("serves the last good table while the line is cut, and catches up after", async () => {
    await at(await put(route("a.test", "/")));
    line.cut = true;
    line.breakWatches();
    const version = await put(route("b.test", "/"));
    await new Promise((resolve) => setTimeout(resolve, 120));
    expect(follower.index().find("a.test", "/")).not.toBeNull();
    expect(follower.index().find("b.test", "/")).toBeNull();
    line.cut = false;
    await at(version);
    expect(follower.index().find("b.test", "/")).not.toBeNull();
    await until(() => last()?.version.revision === version.revision, "the acknowledgement");
  });

  it("81 refuses an older version of the same incarnation", async () => {
    await put(route("a.test", "/"));
    const old = await line.table.snapshot();
    const version = await put(route("b.test", "/"));
    await at(version);
    let asked = 0;
    line.glass = () => {
      asked += 1;
      return old;
    };
    line.breakWatches();
    await until(() => asked > 1, "the reading of the older table");
    expect(follower.version()).toEqual(version);
    expect(follower.index().find("b.test", "/")).not.toBeNull();
    line.glass = null;
    await at(await put(route("c.test", "/")));
  });

  it("78 keeps its table when the table lost its past, until someone has written it again", async () => {
    await at(await put(route("a.test", "/")));
    const before = follower.version();
    line.bend(createMemoryRouteTable({ random: createSystemRandom() }));
    await new Promise((resolve) => setTimeout(resolve, 120));
    expect(follower.version()).toEqual(before);
    expect(follower.index().find("a.test", "/")).not.toBeNull();
    const version = await put(route("b.test", "/"));
    await at(version);
    expect(follower.index().find("a.test", "/")).toBeNull();
    await until(() => last()?.version.incarnation === version.incarnation, "the acknowledgement");
  });

  it("82 keeps its table also when a table that lost some of its past still has routes, until it is written", async () => {
    await at(await put(route("a.test", "/")));
    const before = follower.version();
    let asked = 0;
    line.glass = () => {
      asked += 1;
      return { version: { incarnation: "next", epoch: 0, revision: 0 }, routes: [route("old.test", "/")] };
    };
    line.breakWatches();
    await until(() => asked > 1, "the reading of the table that nobody has written");
    expect(follower.version()).toEqual(before);
    expect(follower.index().find("a.test", "/")).not.toBeNull();
    line.glass = null;
    await at(await put(route("c.test", "/")));
  });

  it("takes a new snapshot when it fell behind the table's history", async () => {
    line.bend(createMemoryRouteTable({ random: createSystemRandom(), historyMax: 2 }));
    await at(await put(route("a.test", "/")));
    line.cut = true;
    line.breakWatches();
    let version = await put(route("a.test", "/x0"));
    for (let i = 1; i < 30; i += 1) version = await put(route("a.test", `/x${String(i)}`));
    line.cut = false;
    await at(version);
    expect(follower.index().size).toBe(31);
  });

  it("78 refuses a table of few routes that does not say why, until it has recovered or somebody believes it", async () => {
    const many = Array.from({ length: 20 }, (_, number) => route("a.test", `/${String(number)}`));
    await at(await put(...many));
    const few = createMemoryRouteTable({ random: createSystemRandom() });
    line.bend(few);
    await put(route("a.test", "/0"));
    await until(() => follower.problem() !== null, "the refusal");
    expect(follower.problem()).toMatch(/has 1 routes where .* has 20, and does not say why/);
    expect(follower.index().size).toBe(20);
    expect(last()?.version.incarnation).not.toBe((await few.snapshot()).version.incarnation);
    await at(await put(...many));
    expect(follower.problem()).toBeNull();

    const fewer = createMemoryRouteTable({ random: createSystemRandom() });
    line.bend(fewer);
    const version = await put(route("a.test", "/0"));
    await until(() => follower.problem() !== null, "the second refusal");
    follower.believe();
    await at(version);
    expect(follower.index().size).toBe(1);
  });

  it("takes a table that loses its routes change by change", async () => {
    const many = Array.from({ length: 20 }, (_, number) => route("a.test", `/${String(number)}`));
    const version = await put(...many);
    const deletions = many.map(({ host, path }) => ({ op: "delete" as const, host, path }));
    await at(await line.apply(deletions, { epoch: 1, ifVersion: version }));
    expect(follower.index().size).toBe(0);
  });

  describe("with a cache", () => {
    /** A disk in memory; what is written to it takes until the gate opens. */
    class Disk implements RouteCache {
      table: RouteTableSnapshot | null = null;
      gate: Promise<void> = Promise.resolve();
      fails = false;
      clears = 0;
      load(): Promise<RouteTableSnapshot | null> {
        return Promise.resolve(this.table);
      }
      async save(table: RouteTableSnapshot): Promise<void> {
        await this.#write();
        this.table = table;
      }
      async append(version: RouteTableVersion, changes: readonly RouteChange[]): Promise<void> {
        await this.#write();
        const index = new RouteIndex(this.table?.routes ?? []);
        index.apply(changes);
        this.table = { version, routes: [...index.routes()] };
      }
      clear(): Promise<void> {
        this.clears += 1;
        this.table = null;
        return Promise.resolve();
      }
      async #write(): Promise<void> {
        await this.gate;
        if (this.fails) throw new DinpError("DINP_UNAVAILABLE", "the disk is full");
      }
    }

    async function started(cache: RouteCache): Promise<RouteFollower> {
      stop.abort();
      await running;
      stop = new AbortController();
      line.acknowledged = [];
      follower = createRouteFollower({
        table: line,
        routerId: "r-1",
        clock: createSystemClock(),
        logger,
        cache,
      });
      running = follower.run(stop.signal);
      return follower;
    }

    it("starts with the saved table when nobody answers, and goes on from it", async () => {
      const disk = new Disk();
      await started(disk);
      const version = await put(route("a.test", "/"));
      await until(() => last()?.version.revision === version.revision, "the acknowledgement");
      line.cut = true;
      line.breakWatches();
      await started(disk);
      await follower.whenReady(stop.signal);
      expect(follower.version()).toEqual(version);
      expect(follower.index().find("a.test", "/")).not.toBeNull();
      expect(follower.problem()).toMatch(/does not answer/);
      line.cut = false;
      await at(await put(route("b.test", "/")));
      expect(follower.problem()).toBeNull();
      expect(follower.index().size).toBe(2);
    });

    it("serves no more what it has from before when that is distrusted, until the table answers", async () => {
      const disk = new Disk();
      await started(disk);
      const version = await put(route("a.test", "/"));
      await until(() => last()?.version.revision === version.revision, "the acknowledgement");
      // A table that is followed is not from before.
      await follower.distrust();
      expect([follower.ready(), disk.table?.version]).toEqual([true, version]);
      line.cut = true;
      line.breakWatches();
      await started(disk);
      await follower.whenReady(stop.signal);
      await follower.distrust();
      expect([follower.ready(), follower.index().size, disk.table]).toEqual([false, 0, null]);
      expect(line.acknowledged).toEqual([]);
      line.cut = false;
      await at(version);
      expect(follower.index().size).toBe(1);
      await until(() => disk.table?.version.revision === version.revision, "the saved table");
    });

    it("never starts with a saved table that was distrusted before it ran", async () => {
      const disk = new Disk();
      await started(disk);
      await put(route("a.test", "/"));
      await until(() => disk.table?.routes.length === 1, "the saved table");
      stop.abort();
      await running;
      line.cut = true;
      stop = new AbortController();
      // What was read of the disk before it was distrusted must not come either.
      const { table } = disk;
      disk.load = () => Promise.resolve(table);
      const clock = createSystemClock();
      follower = createRouteFollower({ table: line, routerId: "r-1", clock, logger, cache: disk });
      await follower.distrust();
      running = follower.run(stop.signal);
      await clock.sleep(1_200);
      expect([follower.ready(), disk.table]).toEqual([false, null]);
    });

    it("acknowledges nothing that a start could go back behind", async () => {
      const disk = new Disk();
      await started(disk);
      await at(await put(route("a.test", "/")));
      let open = (): void => undefined;
      disk.gate = new Promise((resolve) => {
        open = resolve;
      });
      const saved = disk.table?.version.revision ?? -1;
      const version = await put(route("a.test", "/", []));
      await at(version);
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(line.acknowledged.every((each) => each.version.revision <= saved)).toBe(true);
      open();
      await until(() => last()?.version.revision === version.revision, "the acknowledgement");
      expect(disk.table).toEqual({ version, routes: [route("a.test", "/", [])] });
    });

    it("forgets what it cannot keep up to date, and then acknowledges", async () => {
      const disk = new Disk();
      await started(disk);
      await at(await put(route("a.test", "/")));
      await until(() => disk.table !== null, "the saved table");
      disk.fails = true;
      const version = await put(route("a.test", "/", []));
      await until(() => last()?.version.revision === version.revision, "the acknowledgement");
      expect(disk.table).toBeNull();
      disk.fails = false;
      const next = await put(route("b.test", "/"));
      await until(() => disk.table?.version.revision === next.revision, "the table on disk");
      expect(disk.table?.routes.length).toBe(2);
    });

    it("saves the whole table now and then, and each change in between", { timeout: 60_000 }, async () => {
      const disk = new Disk();
      await started(disk);
      let version = await put(route("a.test", "/"));
      await at(version);
      for (let number = 0; number < 1_200; number += 1)
        version = await put(route("a.test", `/${String(number)}`));
      await until(() => last()?.version.revision === version.revision, "the acknowledgement");
      expect(disk.table?.version).toEqual(version);
      expect(disk.table?.routes.length).toBe(1_201);
    });
  });

  it("runs once, and gives up waiting when asked to", async () => {
    await expect(follower.run(stop.signal)).rejects.toBeInstanceOf(TypeError);
    const other = createRouteFollower({ table: line, routerId: "r-2", clock: createSystemClock(), logger });
    const abort = new AbortController();
    const waiting = other.whenReady(abort.signal);
    abort.abort();
    await expect(waiting).rejects.toMatchObject({ code: "DINP_ABORTED" });
  });
});
