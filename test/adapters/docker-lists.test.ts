import { createServer, type RequestListener } from "node:http";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { ImageRef, InstanceSpec } from "@dinp/core";
import { Containers } from "../../src/adapters/docker/containers.js";
import { Engine } from "../../src/adapters/docker/engine.js";
import { Names } from "../../src/adapters/docker/names.js";
import { programs } from "../../src/core/testing/runtime-programs.js";
import { describeWithServices } from "../support/services.js";
import type { EngineContainer } from "./docker-support/engine-client.js";
import { answerOf, DockerHarness, DockerStage } from "./docker-support/harness.js";

const names = new Names("crowd");
/** As many as one engine is asked to list; it sends about 500 bytes for each. */
const CROWD = 100_000;
const OWN = 60_000;
/** Containers beside the platform's own on a real engine. */
const COPIES = 200;
const COPIED_AT_ONCE = 8;

/** A container as an engine lists it, of usual length. */
function listed(id: number, instance: string, name: string): object {
  return {
    Id: String(id).padStart(64, "0"),
    Names: [`/${name}`],
    Image: "sha256:0".padEnd(71, "0"),
    State: "running",
    Status: "Up 3 minutes",
    Labels: { "io.dinp.cluster": "crowd", "io.dinp.kind": "instance", "io.dinp.instance": instance },
    Mounts: [{ Type: "volume", Name: "tools".padEnd(60, "x"), Destination: "/.dinp" }],
  };
}

/** An engine's answers, for lists of a length that no engine here could have. */
async function containersOf(list: string): Promise<Containers> {
  const folder = await mkdtemp(join(tmpdir(), "dinp-lists-"));
  const answer: RequestListener = (request, response) => {
    response.setHeader("api-version", "1.41");
    response.end(request.url?.includes("/containers/json") === true ? list : "OK");
  };
  const server = createServer(answer);
  const socketPath = join(folder, "engine.sock");
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  const engine = await Engine.open({ socketPath }, 60_000, undefined);
  onTestFinished(async () => {
    engine.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await rm(folder, { recursive: true });
  });
  return new Containers({ engine, names, host: "127.0.0.1", sleep: () => Promise.resolve() });
}

// Fault 69: 100,000 containers; duplicate ids.
describe("very long lists of containers", () => {
  it(
    "are read whole, each instance once, whatever calls itself by its name",
    { timeout: 300_000 },
    async () => {
      const own = Array.from({ length: OWN }, (_, n) =>
        listed(n, `i-${String(n)}`, `dinp-crowd-i-${String(n)}`),
      );
      const doubled = Array.from({ length: CROWD - OWN }, (_, n) =>
        listed(CROWD + n, `i-${String(n)}`, `copy-${String(n)}`),
      );
      const containers = await containersOf(JSON.stringify([...doubled, ...own]));
      const found = await containers.all();
      expect(found).toHaveLength(OWN);
      expect(new Set(found.map(({ instanceId }) => instanceId)).size).toBe(OWN);
      expect(found.every(({ id }) => Number(id) < CROWD)).toBe(true);
    },
  );

  it(
    "that are longer than what is read are told as unknown, and never as short",
    { timeout: 300_000 },
    async () => {
      const many = Array.from({ length: 2 * CROWD }, (_, n) =>
        listed(n, `i-${String(n)}`, `dinp-crowd-i-${String(n)}`),
      );
      const containers = await containersOf(JSON.stringify(many));
      await expect(containers.all()).rejects.toMatchObject({ code: "DINP_UNAVAILABLE", retryable: true });
    },
  );
});

describeWithServices(["docker"], "containers that others have a hand in", (places) => {
  let stage: DockerStage;
  let harness: DockerHarness;

  beforeAll(async () => {
    stage = await DockerStage.start(places.DINP_TEST_DOCKER_SOCKET);
    harness = await DockerHarness.make(stage);
  }, 300_000);

  afterAll(async () => {
    await harness.dispose();
    await stage.dispose();
  }, 300_000);

  const nameOf = ({ repository, digest }: ImageRef): string =>
    `dinp-${harness.clusterId}/${repository}:${digest.slice(7)}`;

  const own = async (): Promise<EngineContainer> => {
    const found = await stage.client.containers(`io.dinp.cluster=${harness.clusterId}`);
    const [first] = found;
    if (first === undefined || found.length > 1) throw new Error(`${String(found.length)} containers`);
    return first;
  };

  async function begin(): Promise<InstanceSpec> {
    const spec = await harness.spec(await harness.image(programs));
    await harness.runtime.start(spec);
    await answerOf(spec.port);
    return spec;
  }

  async function end({ instanceId }: InstanceSpec): Promise<void> {
    await harness.runtime.stop(instanceId, { graceMs: 0 });
    await harness.runtime.remove(instanceId);
    expect(await harness.runtime.list()).toEqual([]);
  }

  // Fault 70: foreign containers labelled like ours.
  it(
    "only look like the platform's: they are neither listed nor stopped nor removed, however many",
    { timeout: 300_000 },
    async () => {
      const { client } = stage;
      const spec = await begin();
      const label = (await own()).Labels;
      const others = [
        label,
        { ...label, "io.dinp.instance": "i-other" },
        { ...label, "io.dinp.cluster": "other" },
      ];
      const copies: string[] = [];
      const copy = async (position: number): Promise<void> => {
        const Labels = others[position % others.length];
        const name = `copy-${String(position)}-${harness.clusterId}`;
        const body = { Image: nameOf(spec.image), Cmd: ["sleep"], Labels };
        const made = (await client.ask("POST", `/containers/create?name=${name}`, body)) as { Id: string };
        copies.push(made.Id);
      };
      try {
        await many(COPIES, copy);
        expect((await harness.runtime.list()).map(({ instanceId }) => instanceId)).toEqual([spec.instanceId]);
        await answerOf(spec.port);
        await harness.runtime.stop("i-other", { graceMs: 0 });
        await harness.runtime.remove("i-other");
        await end(spec);
        for (const id of copies)
          expect(await client.ask("GET", `/containers/${id}/json`)).toMatchObject({ Id: id });
      } finally {
        await many(copies.length, async (position) => {
          await client.ask("DELETE", `/containers/${copies[position] ?? ""}?force=true`);
        });
      }
    },
  );

  // Fault 71: a port that changed after a restart.
  it("keep their ports when somebody restarts them", { timeout: 300_000 }, async () => {
    const spec = await begin();
    const before = await harness.runtime.list();
    const { Id } = await own();
    for (const how of ["restart?t=0", "stop?t=0", "start"]) {
      await stage.client.ask("POST", `/containers/${Id}/${how}`);
      expect(await harness.runtime.list()).toMatchObject([{ port: spec.port, host: "127.0.0.1" }]);
    }
    const said = JSON.parse(await answerOf(spec.port)) as { readonly env: Readonly<Record<string, string>> };
    expect(said.env).toMatchObject({ DINP_INSTANCE_ID: spec.instanceId });
    expect(await harness.runtime.list()).toEqual(before);
    await end(spec);
  });

  // Fault 72: a tag that moved, so that the engine shows the image as a digest.
  it("stay as they are when the name of their image moves to another one", { timeout: 300_000 }, async () => {
    const spec = await begin();
    const before = await harness.runtime.list();
    const { Id } = await own();
    const other = await harness.image(programs);
    const [repo = "", tag = ""] = nameOf(spec.image).split(":");
    await stage.client.ask(
      "POST",
      `/images/${encodeURIComponent(nameOf(other))}/tag?repo=${repo}&tag=${tag}`,
    );
    expect((await own()).Image).toMatch(/^sha256:/);
    expect(await harness.runtime.list()).toEqual(before);
    expect(await harness.runtime.start(spec)).toEqual(before[0]);
    expect((await own()).Id).toBe(Id);
    await harness.runtime.pruneImages([]);
    await answerOf(spec.port);
    await end(spec);
  });
});

/** Steps 0 to `count - 1`, some at the same time. */
async function many(count: number, step: (position: number) => Promise<void>): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < count) await step(next++);
  };
  await Promise.all(Array.from({ length: COPIED_AT_ONCE }, work));
}
