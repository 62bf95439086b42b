import { createHash, randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ImageRef, Registry } from "@dinp/core";
import { loadImages, pullImages, type DockerImages } from "@dinp/core/docker";
import { describeWithServices } from "../support/services.js";
import { DockerHarness, DockerStage } from "./docker-support/harness.js";
import { nodeLayer, putLayers, tarOf } from "./docker-support/images.js";
import { clientOf, ownPath, tlsOptions } from "./oci-support/clients.js";
import { FaultProxy } from "./oci-support/fault-proxy.js";
import { eventually } from "./process-support/harness.js";

const MB = 1024 * 1024;

describeWithServices(["docker", "registry", "registry-tls"], "images of a docker runtime", (places) => {
  let stage: DockerStage;

  beforeAll(async () => {
    stage = await DockerStage.start(places.DINP_TEST_DOCKER_SOCKET);
  }, 300_000);

  afterAll(() => stage.dispose());

  /** An image in the registry, whose own layer is of bytes that cannot be compressed. */
  async function pushed(path: string, bytes = 1_000): Promise<ImageRef> {
    const registry = clientOf(`${places.DINP_TEST_REGISTRY}/${path}`);
    try {
      const layer = await tarOf([{ path: "app/random", bytes: randomBytes(bytes), mode: 0o644 }]);
      const { repository, digest } = await putLayers(registry, "apps/pulled", [layer]);
      return { repository, digest };
    } finally {
      await registry.close();
    }
  }

  const hostOf = (url: string): string => new URL(url).host;

  it("are pulled by digest, once for all who wait, kept by name, and removed whole", async () => {
    const path = ownPath();
    const image = await pushed(path);
    const host = `${hostOf(places.DINP_TEST_REGISTRY)}/${path}`;
    const harness = await DockerHarness.make(stage, { images: pullImages({ host }) });
    try {
      const { runtime } = harness;
      await Promise.all([runtime.prepareImage(image), runtime.prepareImage(image)]);
      const spec = await harness.spec(image, { command: ["none"] });
      expect(await runtime.start(spec)).toMatchObject({ state: "exited", exit: { cause: "start" } });
      await runtime.pruneImages([]);
      const reference = encodeURIComponent(`${host}/${image.repository}@${image.digest}`);
      await stage.client.ask("GET", `/images/${reference}/json`);
      await runtime.remove(spec.instanceId);
      await runtime.pruneImages([]);
      await expect(stage.client.ask("GET", `/images/${reference}/json`)).rejects.toThrow("404");
    } finally {
      await harness.dispose();
    }
  });

  it("that somebody else pulled stay when they are pruned", async () => {
    const path = ownPath();
    const image = await pushed(path);
    const host = `${hostOf(places.DINP_TEST_REGISTRY)}/${path}`;
    const reference = encodeURIComponent(`${host}/${image.repository}@${image.digest}`);
    const harness = await DockerHarness.make(stage, { images: pullImages({ host }) });
    try {
      await pullByHand(`${host}/${image.repository}@${image.digest}`);
      await harness.runtime.prepareImage(image);
      await harness.runtime.pruneImages([]);
      await stage.client.ask("GET", `/images/${reference}/json`);
    } finally {
      await harness.dispose();
      await stage.client.ask("DELETE", `/images/${reference}`);
    }
  });

  it("that are not there, or are for others, say so", async () => {
    const path = ownPath();
    const image = await pushed(path);
    const open = `${hostOf(places.DINP_TEST_REGISTRY)}/${path}`;
    const harness = await DockerHarness.make(stage, { images: pullImages({ host: open }) });
    const closed = await DockerHarness.make(stage, {
      images: pullImages({ host: hostOf(places.DINP_TEST_REGISTRY_TLS) }),
    });
    try {
      const none = { ...image, digest: `sha256:${"0".repeat(64)}` };
      await expect(harness.runtime.prepareImage(none)).rejects.toMatchObject({
        code: "DINP_IMAGE_NOT_FOUND",
      });
      await expect(closed.runtime.prepareImage(image)).rejects.toMatchObject({ code: "DINP_FORBIDDEN" });
    } finally {
      await harness.dispose();
      await closed.dispose();
    }
  });

  it("from a registry with a password come with it, and without are refused", async () => {
    const path = ownPath();
    const registry = clientOf(`${places.DINP_TEST_REGISTRY_TLS}/${path}`, tlsOptions(places));
    const layer = await tarOf([{ path: "app/x", bytes: Buffer.from(path), mode: 0o644 }]);
    const { repository, digest } = await putLayers(registry, "apps/secret", [layer]);
    await registry.close();
    const host = `${hostOf(places.DINP_TEST_REGISTRY_TLS)}/${path}`;
    const username = places.DINP_TEST_REGISTRY_TLS_USER;
    for (const [password, code] of [
      ["wrong", "DINP_FORBIDDEN"],
      [places.DINP_TEST_REGISTRY_TLS_PASSWORD, null],
    ] as const) {
      const credentials = () => Promise.resolve({ username, password });
      const harness = await DockerHarness.make(stage, { images: pullImages({ host, credentials }) });
      try {
        const prepared = harness.runtime.prepareImage({ repository, digest });
        if (code === null) await prepared;
        else
          await expect(prepared).rejects.toMatchObject({
            code,
            message: expect.not.stringContaining(password),
          });
      } finally {
        await harness.dispose();
      }
    }
  });

  it(
    "that come slowly hold nobody else up, and are let go when nobody waits",
    { timeout: 300_000 },
    async () => {
      const path = ownPath();
      const image = await pushed(path, 8 * MB);
      const proxy = await FaultProxy.start(Number(new URL(places.DINP_TEST_REGISTRY).port));
      const host = `127.0.0.1:${String(proxy.port)}/${path}`;
      const harness = await DockerHarness.make(stage, { images: pullImages({ host }) });
      try {
        const { runtime } = harness;
        proxy.set({ kind: "slow", bytes: 1_000 });
        const [one, two] = [new AbortController(), new AbortController()];
        const waits = [one, two].map(({ signal }) => runtime.prepareImage(image, { signal }));
        const outcomes = Promise.allSettled(waits);
        await eventually(() => proxy.receivedBytes > 20_000);
        const quick = await harness.spec(image, { command: ["none"] });
        await expect(runtime.start(quick)).rejects.toMatchObject({ code: "DINP_IMAGE_NOT_FOUND" });
        expect(await runtime.list()).toEqual([]);
        one.abort();
        await expect(waits[0]).rejects.toMatchObject({ code: "DINP_ABORTED" });
        two.abort();
        for (const outcome of await outcomes)
          expect(outcome).toMatchObject({ status: "rejected", reason: { code: "DINP_ABORTED" } });
        await eventually(() => proxy.open === 0);
        proxy.set({ kind: "none" });
        await runtime.prepareImage(image);
      } finally {
        await harness.dispose();
        await proxy.close();
      }
    },
  );

  it("that do not come in time are given up", { timeout: 300_000 }, async () => {
    const path = ownPath();
    const image = await pushed(path, 8 * MB);
    const proxy = await FaultProxy.start(Number(new URL(places.DINP_TEST_REGISTRY).port));
    const host = `127.0.0.1:${String(proxy.port)}/${path}`;
    const harness = await DockerHarness.make(stage, { images: pullImages({ host }), imageTimeoutMs: 1_500 });
    try {
      proxy.set({ kind: "hang" });
      await expect(harness.runtime.prepareImage(image)).rejects.toMatchObject({
        code: "DINP_UNAVAILABLE",
        retryable: true,
      });
    } finally {
      await harness.dispose();
      await proxy.close();
    }
  });

  describe("that are expected", () => {
    const loads = /^POST \S*\/images\/load/;

    /** A runtime, and how many loads were begun since then: opening it may load the tools. */
    async function counted(images?: DockerImages): Promise<{ harness: DockerHarness; begun: () => number }> {
      const harness = await DockerHarness.make(stage, images === undefined ? {} : { images });
      const before = harness.proxy.count(loads);
      return { harness, begun: () => harness.proxy.count(loads) - before };
    }

    it("come by the load that was begun for them, the next ones by their own", async () => {
      const { harness, begun } = await counted();
      const { runtime } = harness;
      try {
        for (let time = 0; time < 3; time += 1) runtime.expectImage?.();
        await eventually(() => begun() === 1);
        const [first, second] = [await harness.makeImage({ a: "1" }), await harness.makeImage({ a: "2" })];
        await runtime.prepareImage(first);
        expect(begun()).toBe(1);
        await runtime.prepareImage(second);
        expect(begun()).toBe(2);
        expect(await runtime.start(await harness.spec(first, { command: ["none"] }))).toMatchObject({
          exit: { cause: "start" },
        });
      } finally {
        await harness.dispose();
      }
    });

    it("come by themselves when what was begun has broken off, also while they begin", async () => {
      const { harness, begun } = await counted();
      const { runtime, proxy } = harness;
      try {
        runtime.expectImage?.();
        await eventually(() => begun() === 1);
        proxy.set("refuse");
        proxy.set("pass");
        await runtime.prepareImage(await harness.makeImage({ a: "1" }));
        expect(begun()).toBe(2);
        runtime.expectImage?.();
        proxy.set("refuse");
        proxy.set("pass");
        await runtime.prepareImage(await harness.makeImage({ a: "2" }));
      } finally {
        await harness.dispose();
      }
    });

    it("leave nothing open when they do not come", async () => {
      const { harness } = await counted();
      const { runtime, proxy } = harness;
      try {
        const before = proxy.open;
        runtime.expectImage?.();
        await eventually(() => proxy.open > before);
        await runtime.close();
        await eventually(() => proxy.open === 0);
        expect(() => runtime.expectImage?.()).toThrow(expect.objectContaining({ code: "DINP_CLOSED" }));
      } finally {
        await harness.dispose();
      }
    });

    it("begin no load where images are pulled", async () => {
      const host = hostOf(places.DINP_TEST_REGISTRY);
      const { harness, begun } = await counted(pullImages({ host }));
      try {
        harness.runtime.expectImage?.();
        await harness.runtime.list();
        expect(begun()).toBe(0);
      } finally {
        await harness.dispose();
      }
    });
  });

  it(
    "are sent without the layers that the engine has, and whole when it lost them",
    { timeout: 300_000 },
    async () => {
      const harness = await DockerHarness.make(stage);
      try {
        const base = await nodeLayer();
        const read: string[] = [];
        const { registry } = stage;
        const counting = await DockerHarness.make(stage, {
          images: loadImages(toldOf(registry, (digest) => read.push(digest))),
        });
        await harness.runtime.prepareImage(await harness.makeImage({ "a.txt": "a" }));
        await counting.runtime.prepareImage(await harness.makeImage({ "a.txt": "b" }));
        expect(read).not.toContain(base.digest);
        // An own base that nothing but one image has, which goes with that.
        const own = await tarOf([{ path: "own", bytes: randomBytes(100), mode: 0o644 }]);
        const app = (text: string) => tarOf([{ path: "app/a", bytes: Buffer.from(text), mode: 0o644 }]);
        const first = await putLayers(registry, "apps/own", [own, await app("1")]);
        const second = await putLayers(registry, "apps/own", [own, await app("2")]);
        await counting.runtime.prepareImage(first);
        const name = `dinp-${counting.clusterId}/apps/own:${first.digest.slice(7)}`;
        await stage.client.ask("DELETE", `/images/${encodeURIComponent(name)}`);
        read.length = 0;
        await counting.runtime.prepareImage(second);
        expect(read.filter((digest) => digest === digestOf(own))).toHaveLength(1);
        await counting.dispose();
      } finally {
        await harness.dispose();
      }
    },
  );

  async function pullByHand(reference: string): Promise<void> {
    await stage.client
      .ask("POST", `/images/create?fromImage=${encodeURIComponent(reference)}`)
      .catch((error: unknown) => {
        // The answer is many lines of JSON, not one.
        if (!(error instanceof SyntaxError)) throw error;
      });
  }
});

/** The registry, with each blob that is read told before. */
function toldOf(registry: Registry, tell: (digest: string) => void): Registry {
  return new Proxy(registry, {
    get: (target, name) => {
      const found: unknown = Reflect.get(target, name);
      if (typeof found !== "function") return found;
      return (...call: readonly unknown[]): unknown => {
        if (name === "readBlob") tell(String(call[1]));
        return Reflect.apply(found, target, call);
      };
    },
  });
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
