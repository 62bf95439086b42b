import { runCommand } from "../../../scripts/lib/services/command.mjs";
import { eventually } from "./eventually.js";
import { OwnRedis } from "./own-redis.js";

const lines = [
  ["cluster-enabled", "yes"],
  ["cluster-node-timeout", "15000"],
  ["appendonly", "yes"],
  ["appendfsync", "always"],
] as const;

/** A Redis Cluster of three primaries without replicas. */
export class OwnCluster {
  readonly nodes: readonly OwnRedis[];

  private constructor(nodes: readonly OwnRedis[]) {
    this.nodes = nodes;
  }

  static async start(): Promise<OwnCluster> {
    const results = await Promise.allSettled([1, 2, 3].map(() => OwnRedis.start({ lines })));
    const nodes = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    const own = new OwnCluster(nodes);
    try {
      const addresses = nodes.map(({ port }) => `127.0.0.1:${String(port)}`);
      await runCommand("redis-cli", ["--cluster", "create", ...addresses, "--cluster-yes"]);
      for (const node of nodes) await eventually(async () => (await own.#stateOf(node)) === "ok");
      return own;
    } catch (error) {
      await own.dispose();
      throw error;
    }
  }

  /** The node that has the key's slot. */
  async ownerOf(key: string): Promise<OwnRedis> {
    const [first] = this.nodes;
    const slot = Number(await first?.command("CLUSTER", "KEYSLOT", key));
    const ranges = (await first?.command("CLUSTER", "SLOTS")) as [number, number, [string, number]][];
    const port = ranges.find(([from, to]) => from <= slot && slot <= to)?.[2][1];
    const owner = this.nodes.find((node) => node.port === port);
    if (owner === undefined) throw new Error(`No node has the slot ${String(slot)}.`);
    return owner;
  }

  async isWhole(): Promise<boolean> {
    const states = await Promise.all(this.nodes.map((node) => this.#stateOf(node)));
    return states.every((state) => state === "ok");
  }

  async dispose(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.dispose()));
  }

  async #stateOf(node: OwnRedis): Promise<string | undefined> {
    return /cluster_state:(\w+)/.exec(String(await node.command("CLUSTER", "INFO")))?.[1];
  }
}
