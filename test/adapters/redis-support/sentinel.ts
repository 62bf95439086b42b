import { OwnRedis } from "./own-redis.js";
import { eventually } from "./eventually.js";

const NAME = "routes";

/** A primary, its replica, and a sentinel of one vote. */
export class OwnSentinel {
  readonly primary: OwnRedis;
  readonly replica: OwnRedis;
  readonly sentinel: OwnRedis;
  readonly name = NAME;

  private constructor(primary: OwnRedis, replica: OwnRedis, sentinel: OwnRedis) {
    this.primary = primary;
    this.replica = replica;
    this.sentinel = sentinel;
  }

  /** `downAfterMs`: how long the primary may say nothing before it is replaced. */
  static async start(downAfterMs = 3_000): Promise<OwnSentinel> {
    const started: OwnRedis[] = [];
    const start = async (options: Parameters<typeof OwnRedis.start>[0]): Promise<OwnRedis> => {
      const server = await OwnRedis.start(options);
      started.push(server);
      return server;
    };
    try {
      const primary = await start({ lines: [["repl-diskless-sync-delay", "0"]] });
      const replica = await start({ lines: [["replicaof", `127.0.0.1 ${String(primary.port)}`]] });
      const sentinel = await start({
        mode: "sentinel",
        lines: [
          ["sentinel monitor", `${NAME} 127.0.0.1 ${String(primary.port)} 1`],
          ["sentinel down-after-milliseconds", `${NAME} ${String(downAfterMs)}`],
          ["sentinel failover-timeout", `${NAME} 5000`],
        ],
      });
      const own = new OwnSentinel(primary, replica, sentinel);
      await eventually(async () => (await own.#replicasKnown()) === 1);
      await eventually(() => own.isInSync());
      return own;
    } catch (error) {
      await Promise.all(started.map((server) => server.dispose()));
      throw error;
    }
  }

  /** The replica has all that the primary has. */
  async isInSync(replica = this.replica, primary = this.primary): Promise<boolean> {
    const [its, theirs] = [await replica.command("ROLE"), await primary.command("ROLE")] as unknown[][];
    return its?.[3] === "connected" && its[4] === theirs?.[1];
  }

  /** The one that is to take over has done so. */
  async hasTakenOver(server: OwnRedis): Promise<boolean> {
    const address = (await this.sentinel.command("SENTINEL", "get-master-addr-by-name", NAME)) as unknown[];
    const role = (await server.command("ROLE")) as unknown[];
    return address[1] === String(server.port) && role[0] === "master";
  }

  async dispose(): Promise<void> {
    await Promise.all([this.primary, this.replica, this.sentinel].map((server) => server.dispose()));
  }

  async #replicasKnown(): Promise<number> {
    return ((await this.sentinel.command("SENTINEL", "replicas", NAME)) as unknown[]).length;
  }
}
