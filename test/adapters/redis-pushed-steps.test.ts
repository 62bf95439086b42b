import { expect, it, onTestFinished } from "vitest";
import type { RouteChange, RouteTable, RouteTableVersion } from "@dinp/core";
import { describeWithServices } from "../support/services.js";
import { eventually } from "./redis-support/eventually.js";
import { OwnRedis } from "./redis-support/own-redis.js";
import { apply, put, tableAt, watched } from "./redis-support/tables.js";

const CHANNEL = "dinp:{test}:changed";

/** A writer, and a watch of another object that never asks by itself and is told from now on. */
class Pair {
  private constructor(
    readonly server: OwnRedis,
    readonly writer: RouteTable,
    readonly next: ReturnType<typeof watched>,
    public version: RouteTableVersion,
  ) {}

  static async start(): Promise<Pair> {
    const server = await OwnRedis.start();
    onTestFinished(() => server.dispose());
    const writer = tableAt({ url: server.url });
    const follower = tableAt({ url: server.url }, { pollMs: 600_000 });
    const first = await apply(writer, [put("a.test")]);
    const pair = new Pair(server, writer, watched(follower, first), first);
    const event = pair.next();
    await eventually(async () => (await pair.#subscribers()) === 1);
    await pair.apply([put("b.test")]);
    expect(await event).toMatchObject({ type: "changes", version: pair.version });
    return pair;
  }

  async apply(changes: readonly RouteChange[], epoch = 1): Promise<void> {
    this.version = await this.writer.apply(changes, { epoch, ifVersion: this.version });
  }

  async publish(message: string): Promise<void> {
    expect(await this.server.command("PUBLISH", CHANNEL, message)).toBe(1);
  }

  /** How many scripts Redis has run. */
  async scripts(): Promise<number> {
    const stats = String(await this.server.command("INFO", "commandstats"));
    return Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1] ?? 0);
  }

  async #subscribers(): Promise<number> {
    const [, count] = (await this.server.command("PUBSUB", "NUMSUB", CHANNEL)) as [string, number];
    return count;
  }
}

describeWithServices(["redis"], "the changes in Redis's messages", () => {
  it("are enough for a watch that misses none: it asks for nothing", async () => {
    const pair = await Pair.start();
    const changes = Array.from({ length: 20 }, (_, index) => put(`n${String(index)}.test`));
    const before = await pair.scripts();
    for (const change of changes) {
      await pair.apply([change]);
      expect(await pair.next()).toEqual({ type: "changes", version: pair.version, changes: [change] });
    }
    // One for each apply; one more may be of the beginning.
    expect((await pair.scripts()) - before).toBeLessThanOrEqual(changes.length + 1);
  });

  it("are asked for when they are too long for a message", async () => {
    const pair = await Pair.start();
    const changes = Array.from({ length: 200 }, (_, index) => put(`n${String(index)}.test`));
    expect(JSON.stringify(changes).length).toBeGreaterThan(16_384);
    await pair.apply(changes);
    expect(await pair.next()).toEqual({ type: "changes", version: pair.version, changes });
    await pair.apply([put("c.test")]);
    expect(await pair.next()).toMatchObject({ version: pair.version });
  });

  it("come one after the other without a hole, also for a watch that is read late", async () => {
    const pair = await Pair.start();
    const first = pair.version.revision + 1;
    for (let index = 0; index < 100; index += 1) await pair.apply([put(`n${String(index)}.test`)]);
    for (let revision = first; revision <= pair.version.revision; revision += 1) {
      expect(await pair.next()).toMatchObject({ type: "changes", version: { revision } });
    }
  });

  it("count only where they lead on from the version that the watch is at", async () => {
    const pair = await Pair.start();
    await pair.apply([put("c.test")], 2);
    expect(await pair.next()).toMatchObject({ version: { epoch: 2 } });
    const forged = JSON.stringify([put("forged.test")]);
    const messages = [
      () => "",
      () => "x",
      (next: number) => String(next),
      (next: number, incarnation: string) => `${String(next)} ${incarnation} `,
      (next: number, incarnation: string) => `${String(next)} ${incarnation} 2 2 [{"op":"put"}]`,
      (next: number, incarnation: string) => `${String(next)} ${incarnation} 1 2 ${forged}`,
      (next: number, incarnation: string) => `${String(next - 1)} ${incarnation} 2 2 ${forged}`,
      (next: number) => `${String(next)} another 2 2 ${forged}`,
    ];
    for (const [index, message] of messages.entries()) {
      const event = pair.next();
      await pair.publish(message(pair.version.revision + 1, pair.version.incarnation));
      const change = put(`d${String(index)}.test`);
      await pair.apply([change], 2);
      expect(await event).toEqual({ type: "changes", version: pair.version, changes: [change] });
    }
  });

  it("are no sequence where one is missing between two", async () => {
    const pair = await Pair.start();
    const { incarnation, revision } = pair.version;
    await pair.apply([put("c.test")]);
    await pair.publish(`${String(revision + 9)} ${incarnation} 1 1 ${JSON.stringify([put("forged.test")])}`);
    for (const host of ["d.test", "e.test", "f.test"]) await pair.apply([put(host)]);
    for (const host of ["c.test", "d.test", "e.test", "f.test"]) {
      expect(await pair.next()).toMatchObject({ type: "changes", changes: [put(host)] });
    }
  });
});
