import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createNodeGate, type Logger } from "@dinp/core";
import { createFileLocalState, createNodeHasher, createSystemRandom } from "@dinp/core/system";
import { createWebSocketLinkClient } from "@dinp/core/websocket";
import { makeCertificates } from "../../scripts/lib/services/certificates.mjs";
import { createWorld, type World } from "../platform/world.js";
import { until } from "./support/until.js";
import { LinkRig, memoryState, quiet, type Certificates } from "./websocket-support/link-rig.js";
import { Accepting, drained, helloOf, noServices } from "./websocket-support/sessions.js";

let folder: string;
let certificates: Certificates;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "dinp-link-keys-"));
  const paths = await makeCertificates(folder);
  const read = (path: string): Promise<string> => readFile(path, "utf8");
  const [ca, cert, key] = [await read(paths.ca), await read(paths.certificate), await read(paths.key)];
  certificates = { ca, cert, key };
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A log that keeps its warnings. */
function memoryLog(): Logger & { readonly warnings: string[] } {
  const warnings: string[] = [];
  const warn = (text: string, fields: object = {}): void => {
    warnings.push(`${text} ${JSON.stringify(fields)}`);
  };
  return { ...quiet, warn, warnings };
}

/** A platform with a link whose gate is that of its store. */
async function platform(options: Parameters<typeof LinkRig.start>[0] = {}, tls: Certificates | null = null) {
  const world: World = await createWorld();
  const { store, clock } = world;
  const gate = createNodeGate({ store, clock, random: createSystemRandom(), hasher: createNodeHasher() });
  const rig = await LinkRig.start({ gate, ...options }, tls);
  const accepting = new Accepting(rig.link);
  closers.push(
    async () => world[Symbol.asyncDispose](),
    () => rig.close(),
    () => accepting.stop(),
  );
  const { secret: joinToken } = await world.platform.createJoinToken({}, world.write());
  return { world, rig, gate, accepting, joinToken };
}

function connect(client: ReturnType<LinkRig["client"]>, node = "node-1") {
  return client.connect(helloOf(node), { ...noServices, signal: new AbortController().signal });
}

describe("WebSocket control link: nodes and their keys", () => {
  it("a node joins once, keeps its key where others cannot read it, and comes back by it", async () => {
    const { rig, joinToken, world } = await platform();
    const dir = await mkdtemp(join(folder, "state-"));
    const state = createFileLocalState({ dir });
    await (await connect(rig.client({ state, joinToken }))).close();
    const [file = ""] = await readdir(dir);
    expect((await stat(join(dir, file))).mode & 0o777).toBe(0o600);
    const [token] = await world.records("joinToken");
    await world.platform.revokeJoinToken(token?.id ?? "", world.write());
    const again = createFileLocalState({ dir });
    await (await connect(rig.client({ state: again, joinToken: undefined }))).close();
    await expect(connect(rig.client({ state: again }), "node-2")).rejects.toMatchObject({
      code: "DINP_INVALID",
      message: expect.stringContaining("node-1, not of node-2") as string,
    });
  });

  it("a node that never joined is told what it needs", async () => {
    const { rig } = await platform();
    await expect(connect(rig.client({ joinToken: undefined }))).rejects.toMatchObject({
      code: "DINP_UNAUTHENTICATED",
      hint: expect.stringContaining("dinp nodes join-token") as string,
    });
  });

  it("a node whose join token is not taken is told so, however often it asks, and joins by a good one", async () => {
    const { rig, joinToken } = await platform();
    const state = memoryState();
    const client = rig.client({ state, joinToken: `${joinToken.slice(0, -4)}zzzz` });
    for (let asked = 0; asked < 2; asked += 1)
      await expect(connect(client)).rejects.toThrow("The join token is not valid here, or no longer.");
    await (await connect(rig.client({ state, joinToken }))).close();
  });

  it("a revoked node's connection ends at once; afterwards it is refused, and told why", async () => {
    const { rig, world, accepting, joinToken } = await platform();
    const logger = memoryLog();
    const client = rig.client({ joinToken, logger });
    const agent = await connect(client);
    await accepting.take(1);
    await world.platform.revokeNode("node-1", world.write());
    await drained(agent.messages());
    expect(logger.warnings.join()).toContain("this node was revoked");
    await expect(connect(client)).rejects.toMatchObject({
      code: "DINP_FORBIDDEN",
      message: expect.stringContaining("node-1 was revoked") as string,
    });
    world.clock.offsetMs = 1_000;
    const { secret } = await world.platform.createJoinToken({}, world.write());
    await (await connect(rig.client({ joinToken: secret }))).close();
  });

  it("a key that is old enough is changed over the connection, and the new one is used", async () => {
    const { rig, world, joinToken } = await platform();
    const state = memoryState();
    const agent = await connect(rig.client({ state, joinToken, keyAgeMsMax: 40 }));
    const rotations = async (): Promise<number> => {
      const { items } = await world.platform.pageEvents({ type: "node.rekeyed" });
      return items.length;
    };
    await until(async () => (await rotations()) >= 2, "two changes of the key");
    await agent.close();
    world.clock.offsetMs = 25 * 3_600_000;
    await (await connect(rig.client({ state, joinToken: undefined }))).close();
  });

  it("an answer that is lost locks no node out", async () => {
    const { rig, gate, joinToken } = await platform();
    let isLosing = true;
    const losing: typeof gate = {
      ...gate,
      admit: async (request, options) => {
        const admission = await gate.admit(request, options);
        if (isLosing) throw new Error("the answer is lost");
        return admission;
      },
    };
    const other = await LinkRig.start({ gate: losing });
    const accepting = new Accepting(other.link);
    closers.push(
      () => other.close(),
      () => accepting.stop(),
    );
    const state = memoryState();
    await expect(connect(other.client({ state, joinToken }))).rejects.toBeDefined();
    isLosing = false;
    await (await connect(other.client({ state, joinToken: undefined }))).close();
    await (await connect(rig.client({ state, joinToken: undefined }))).close();
  });

  it("of two agents of one node the newer counts, and both sides are told", async () => {
    const serverLog = memoryLog();
    const { rig, accepting, joinToken } = await platform({ logger: serverLog });
    const [state, agentLog] = [memoryState(), memoryLog()];
    const older = await connect(rig.client({ state, joinToken, logger: agentLog }));
    const newer = await connect(rig.client({ state, joinToken: undefined }));
    await drained(older.messages());
    expect(agentLog.warnings.join()).toContain("another agent speaks for node-1");
    expect(serverLog.warnings.join()).toContain("two agents speak for one node");
    const [, session] = await accepting.take(2);
    const reports = session?.reports()[Symbol.asyncIterator]();
    const reporting = newer.report({ nodeId: "node-1", full: true, statuses: [] });
    expect((await reports?.next())?.value).toMatchObject({ full: true });
    await reporting;
  });
});

describe("WebSocket control link: where an agent's key may go", () => {
  it("a server that does not lead sends agents to the one that does", async () => {
    const leader = await platform();
    const leaderUrl = (): string => leader.rig.url;
    const follower = await LinkRig.start({ gate: leader.gate, leaderUrl });
    closers.push(() => follower.close());
    const servers = [follower.url, leader.rig.url];
    const agent = await connect(follower.client({ servers, joinToken: leader.joinToken }));
    expect((await leader.accepting.take(1)).length).toBe(1);
    await agent.close();
  });

  it("it does not follow to a server that it was not told of; with its own authority, to one of https", async () => {
    for (const tls of [null, certificates]) {
      const leader = await platform({}, tls);
      const follower = await LinkRig.start({ gate: leader.gate, leaderUrl: () => leader.rig.url }, tls);
      closers.push(() => follower.close());
      const { joinToken } = leader;
      if (tls === null) {
        await expect(connect(follower.client({ joinToken }))).rejects.toMatchObject({
          code: "DINP_UNAVAILABLE",
          message: expect.stringContaining("where it may not go") as string,
        });
        expect(leader.accepting.sessions).toEqual([]);
      } else await (await connect(follower.client({ joinToken, ca: tls.ca }))).close();
    }
  });

  it("a server that does not lead and knows no leader says so", async () => {
    const { rig, gate, joinToken } = await platform();
    const follower = await LinkRig.start({ gate });
    closers.push(() => follower.close());
    await expect(connect(rig.client({ servers: [follower.url], joinToken }))).rejects.toMatchObject({
      code: "DINP_UNAVAILABLE",
      message: expect.stringContaining("does not lead") as string,
    });
  });

  it("certificates are checked: their authority, and their name", async () => {
    const { rig, joinToken } = await platform({}, certificates);
    const refused = { code: "DINP_UNAVAILABLE" };
    const untrusted = { ...refused, hint: expect.stringContaining("agent.caFile") as string };
    await expect(connect(rig.client({ joinToken }))).rejects.toMatchObject(untrusted);
    // Also when several servers were asked.
    const servers = [rig.url, rig.url.replace("127.0.0.1", "localhost")];
    await expect(connect(rig.client({ joinToken, servers }))).rejects.toMatchObject(untrusted);
    const { ca } = certificates;
    await expect(connect(rig.client({ joinToken, ca, serverName: "other.example" }))).rejects.toMatchObject(
      refused,
    );
    await (await connect(rig.client({ joinToken, ca }))).close();
    await (await connect(rig.client({ joinToken, ca, serverName: "localhost" }), "node-2")).close();
  });

  it.each([
    [["http://127.0.0.1:1"], /not encrypted/],
    [[], /at least one server/],
    [["ftp://x"], /begins with https/],
    [["nonsense"], /begins with https/],
  ])("an agent is not made for %j", (servers, problem) => {
    expect(() => createWebSocketLinkClient({ servers, state: memoryState(), logger: quiet })).toThrow(
      problem,
    );
  });
});
