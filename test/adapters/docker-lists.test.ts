import { createServer, type RequestListener } from "node:http";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { Containers } from "../../src/adapters/docker/containers.js";
import { Engine } from "../../src/adapters/docker/engine.js";
import { Names } from "../../src/adapters/docker/names.js";
import { programs } from "../../src/core/testing/runtime-programs.js";
import { describeWithServices } from "../support/services.js";
import { answerOf, DockerHarness, DockerStage } from "./docker-support/harness.js";

const names = new Names("crowd");

/** A container as an engine lists it, of usual length. */
function listed(id: number, instance: string, name: string): object {
  return {
    Id: String(id).padStart(64, "0"),
    Names: [`/${name}`],
    Image: "sha256:0".padEnd(71, "0"),
    State: "running",
    Status: "Up 3 minutes",
    Labels: { "io.dinp.cluster": "crowd", "io.dinp.kind": "instance", "io.dinp.instance": instance },
    Mounts: [{ Type: "volume", Name: "tools".padEnd(300, "x"), Destination: "/.dinp" }],
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

describe("very long lists of containers", () => {
  it(
    "are read whole, each instance once, whatever calls itself by its name",
    { timeout: 60_000 },
    async () => {
      const own = Array.from({ length: 40_000 }, (_, n) =>
        listed(n, `i-${String(n)}`, `dinp-crowd-i-${String(n)}`),
      );
      const doubled = Array.from({ length: 20_000 }, (_, n) =>
        listed(100_000 + n, `i-${String(n)}`, `copy-${String(n)}`),
      );
      const containers = await containersOf(JSON.stringify([...own, ...doubled]));
      const found = await containers.all();
      expect(found).toHaveLength(40_000);
      expect(new Set(found.map(({ id }) => Number(id) < 100_000))).toEqual(new Set([true]));
    },
  );

  it(
    "that are longer than what is read are told as unknown, and never as short",
    { timeout: 60_000 },
    async () => {
      const many = Array.from({ length: 150_000 }, (_, n) =>
        listed(n, `i-${String(n)}`, `dinp-crowd-i-${String(n)}`),
      );
      const containers = await containersOf(JSON.stringify(many));
      await expect(containers.all()).rejects.toMatchObject({ code: "DINP_UNAVAILABLE", retryable: true });
    },
  );
});

describeWithServices(["docker"], "containers that are labelled like the platform's", (places) => {
  let stage: DockerStage;
  let harness: DockerHarness;

  beforeAll(async () => {
    stage = await DockerStage.start(places.DINP_TEST_DOCKER_SOCKET);
    harness = await DockerHarness.make(stage);
  }, 120_000);

  afterAll(async () => {
    await harness.dispose();
    await stage.dispose();
  }, 60_000);

  it("are neither listed nor stopped nor removed", { timeout: 60_000 }, async () => {
    const { client } = stage;
    const image = await harness.image(programs);
    const spec = await harness.spec(image);
    await harness.runtime.start(spec);
    const [own] = await client.containers(`io.dinp.instance=${spec.instanceId}`);
    const copies: string[] = [];
    const label = { ...own?.Labels };
    const others = [
      label,
      { ...label, "io.dinp.instance": "i-other" },
      { ...label, "io.dinp.cluster": "other" },
    ];
    for (const [position, Labels] of others.entries()) {
      const body = {
        Image: `dinp-${harness.clusterId}/${image.repository}:${image.digest.slice(7)}`,
        Cmd: ["sleep"],
        Labels,
      };
      const name = `copy-${String(position)}-${harness.clusterId}`;
      const made = (await client.ask("POST", `/containers/create?name=${name}`, body)) as {
        readonly Id: string;
      };
      copies.push(made.Id);
    }
    try {
      expect((await harness.runtime.list()).map(({ instanceId }) => instanceId)).toEqual([spec.instanceId]);
      await answerOf(spec.port);
      await harness.runtime.stop("i-other", { graceMs: 0 });
      await harness.runtime.remove("i-other");
      await harness.runtime.stop(spec.instanceId, { graceMs: 0 });
      await harness.runtime.remove(spec.instanceId);
      expect(await harness.runtime.list()).toEqual([]);
      for (const id of copies)
        expect(await client.ask("GET", `/containers/${id}/json`)).toMatchObject({ Id: id });
    } finally {
      for (const id of copies) await client.ask("DELETE", `/containers/${id}?force=true`);
    }
  });
});
