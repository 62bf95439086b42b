import { fileURLToPath } from "node:url";
import { loginAt, metric } from "./cluster-apps.js";
import { TestCluster, type ServerProgram } from "./cluster-support.js";
import { eventually, freePort } from "./harness.js";
import { HeldLine } from "./held-line.js";

/** Long enough for a busy machine not to lose it. */
const LEASE_MS = 10_000;

/** For what takes a few seconds, on a machine that is busy with much else. */
export const BOUND_MS = 120_000;

const slowClock = fileURLToPath(new URL("slow-clock.mjs", import.meta.url));

/** A server whose ways to the database, to Redis and to the agents are lines of the test's. */
export interface LinedServer {
  readonly program: ServerProgram;
  readonly store: HeldLine;
  readonly table: HeldLine;
  readonly link: HeldLine;
}

/** The two servers of a cluster. */
export interface Roles {
  readonly leader: LinedServer;
  readonly other: LinedServer;
}

/** A cluster of two servers on lines, of which one leads. */
export class LinedCluster {
  readonly programs: TestCluster;
  readonly servers: readonly [LinedServer, LinedServer];

  private constructor(programs: TestCluster, servers: readonly [LinedServer, LinedServer]) {
    this.programs = programs;
    this.servers = servers;
  }

  /** @param clock `slow`: a server that was stopped does not see by its clock that it was. */
  static async start(registryUrl: string, clock: "right" | "slow" = "right"): Promise<LinedCluster> {
    const programs = await TestCluster.start(registryUrl);
    try {
      programs.nodeFlags = clock === "right" ? [] : ["--import", slowClock];
      const first = await linedServer(programs, "s1");
      await programs.login(first.program);
      const second = await linedServer(programs, "s2");
      await loginAt(programs, first.program, second.program);
      programs.nodeFlags = [];
      return new LinedCluster(programs, [first, second]);
    } catch (error) {
      await programs.dispose();
      throw error;
    }
  }

  /** Who leads now. */
  async roles(): Promise<Roles> {
    const [first, second] = this.servers;
    const leader = await this.programs.leader();
    return leader === first.program ? { leader: first, other: second } : { leader: second, other: first };
  }

  /**
   * Stops the leader (SIGSTOP) with all that it has on its way; resolves when the other server leads, with what resolves three
   * leases after the stop.
   */
  async stop({ leader, other }: Roles): Promise<{ readonly threeLeases: Promise<void> }> {
    const stoppedAt = performance.now();
    await leader.program.pause();
    const threeLeases = new Promise<void>((resolve) => setTimeout(resolve, 3 * LEASE_MS));
    await eventually("the take-over", async () => (await leads(other)) === 1, BOUND_MS);
    const tookMs = performance.now() - stoppedAt;
    process.stdout.write(
      `the other server led after ${tookMs.toFixed(0)} ms of a lease of ${String(LEASE_MS)} ms\n`,
    );
    return { threeLeases };
  }

  async dispose(): Promise<void> {
    const lines = this.servers.flatMap(({ store, table, link }) => [store, table, link]);
    await this.programs.dispose();
    await Promise.all(lines.map((line) => line.close()));
  }
}

/** How many writes of a server were refused because another one leads, as it says itself. */
export function refusals({ program }: LinedServer, place: "store" | "table"): Promise<number> {
  return metric(program.observeUrl, `dinp_server_fenced_total{place="${place}"}`);
}

/** Resolves when a server has counted a refusal there, and leads no more. */
export async function refused(server: LinedServer, place: "store" | "table"): Promise<void> {
  await eventually("the refusal", async () => (await refusals(server, place)) > 0, BOUND_MS);
  await eventually("its end as a leader", async () => (await leads(server)) === 0, BOUND_MS);
}

function leads({ program }: LinedServer): Promise<number> {
  return metric(program.observeUrl, "dinp_server_leads");
}

async function linedServer(programs: TestCluster, name: string): Promise<LinedServer> {
  const linkPort = await freePort();
  const store = await HeldLine.to(programs.database.port);
  const table = await HeldLine.to(programs.redis.port);
  const link = await HeldLine.to(linkPort);
  const linkUrl = new URL(link.url("http://127.0.0.1/")).origin;
  const program = await programs.server(
    name,
    ...["--link-listen", `127.0.0.1:${String(linkPort)}`, "--link-url", linkUrl],
    ...["--store-url", store.url(programs.database.url), "--table-url", table.url(programs.redis.url)],
    // However long a node is silent here, it is not lost.
    ...["--lost-after", "10m", "--lease-ttl", `${String(LEASE_MS)}ms`],
  );
  return { program: Object.assign(program, { linkUrl }), store, table, link };
}
