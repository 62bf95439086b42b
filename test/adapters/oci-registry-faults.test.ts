import { randomBytes } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { OciRegistry, OciRegistryOptions } from "@dinp/core/oci";
import type { Spool } from "@dinp/core";
import { createFileSpool } from "@dinp/core/system";
import { describeWithServices } from "../support/services.js";
import { clientOf } from "./oci-support/clients.js";
import { FaultProxy } from "./oci-support/fault-proxy.js";
import {
  collect,
  errorOf,
  manifestType,
  pieces,
  putImage,
  repository,
  sha256,
  type TestImage,
} from "./oci-support/images.js";
import { until } from "./support/until.js";
import { RegistryProcess } from "./oci-support/registry-process.js";

/** Long enough for a server to start again on a busy machine. */
const patient = { attempts: 200, retryMs: 20, retryMsMax: 100, responseMs: 20_000 };
const MB = 1024 * 1024;

describeWithServices(["registry"], "oci registry when the server or the way to it fails", () => {
  let server: RegistryProcess;
  let proxy: FaultProxy;
  let spoolDir: string;
  let spool: Spool;
  const clients: OciRegistry[] = [];

  const client = (options: Omit<Partial<OciRegistryOptions>, "url"> = {}): OciRegistry => {
    const made = clientOf(`http://127.0.0.1:${String(proxy.port)}`, options);
    clients.push(made);
    return made;
  };

  beforeAll(async () => {
    server = await RegistryProcess.start();
    proxy = await FaultProxy.start(server.port);
    spoolDir = await mkdtemp(join(tmpdir(), "dinp-spool-"));
    spool = createFileSpool({ dir: spoolDir });
  });

  afterAll(async () => {
    for (const made of clients) await made.close();
    await until(() => proxy.open === 0, "the end of all connections");
    expect(await readdir(spoolDir)).toEqual([]);
    await rm(spoolDir, { recursive: true });
    await proxy.close();
    await server[Symbol.asyncDispose]();
  });

  interface Scene {
    readonly registry: OciRegistry;
    readonly repository: string;
    readonly image: TestImage;
  }

  const sceneOf = async (registry: OciRegistry, name: string): Promise<Scene> => {
    const into = `scenes/${name.toLowerCase()}`;
    return { registry, repository: into, image: await putImage(registry, "live", into) };
  };

  const blob = randomBytes(3 * MB);

  /** Each operation, and what must hold when it has succeeded although the server failed in its middle. */
  const operations: Readonly<Record<string, (scene: Scene) => Promise<() => Promise<void>>>> = {
    resolve: async ({ registry, repository, image }) => {
      const digest = await registry.resolve(repository, "live");
      return async () => {
        expect(digest).toBe(image.digest);
      };
    },
    list: async ({ registry, repository, image }) => {
      const tags = await registry.list(repository);
      return async () => {
        expect(tags).toContainEqual({ tag: "live", digest: image.digest });
      };
    },
    readManifest: async ({ registry, repository, image }) => {
      const { bytes } = await registry.readManifest(repository, image.digest);
      return async () => {
        expect([...bytes]).toEqual([...image.bytes]);
      };
    },
    writeManifest: async ({ registry, repository, image }) => {
      const manifest = { mediaType: manifestType, bytes: image.bytes };
      await registry.writeManifest(repository, manifest, { tag: "again" });
      return async () => {
        expect(await registry.resolve(repository, "again")).toBe(image.digest);
      };
    },
    hasBlob: async ({ registry, repository, image }) => {
      const isThere = await registry.hasBlob(repository, image.layer.digest);
      return async () => {
        expect(isThere).toBe(true);
      };
    },
    readBlob: async ({ registry, repository, image }) => {
      const bytes = await collect(registry.readBlob(repository, image.layer.digest));
      return async () => {
        expect(sha256(bytes)).toBe(image.layer.digest);
      };
    },
    writeBlob: async ({ registry, repository }) => {
      const bytes = randomBytes(2_000);
      const { digest } = await registry.writeBlob(repository, pieces(bytes));
      return async () => {
        expect((await collect(registry.readBlob(repository, digest))).equals(bytes)).toBe(true);
      };
    },
    mountBlob: async ({ registry, repository, image }) => {
      const isMounted = await registry.mountBlob("apps/other", image.layer.digest, repository);
      return async () => {
        expect(isMounted).toBe(true);
        expect(await registry.hasBlob("apps/other", image.layer.digest)).toBe(true);
      };
    },
    delete: async ({ registry, repository, image }) => {
      await registry.delete(repository, image.digest);
      return async () => {
        expect(await registry.resolve(repository, "live")).toBeNull();
      };
    },
  };

  for (const [name, operation] of Object.entries(operations)) {
    it(`${name} succeeds although the server is killed in its middle and started again`, async () => {
      const scene = await sceneOf(client({ limits: patient }), name);
      const before = proxy.sentBytes;
      await server.pause();
      const running = operation(scene);
      await expect.poll(() => proxy.sentBytes).toBeGreaterThan(before);
      await server.kill();
      await server.restart();
      const holds = await running;
      await holds();
    });
  }

  it("each operation fails within its bounds while the server hangs, and succeeds when it goes on", async () => {
    const all = Object.entries(operations);
    const hasty = client({ limits: { attempts: 2, responseMs: 100 } });
    const scenes: Scene[] = [];
    for (const [name] of all) scenes.push(await sceneOf(client(), `hung/${name}`));
    await server.pause();
    const failing = all.map(([, operation], index) =>
      errorOf(operation({ ...sceneAt(scenes, index), registry: hasty })),
    );
    const failures = await Promise.all(failing).finally(() => {
      server.resume();
    });
    for (const failure of failures)
      expect(failure).toMatchObject({ code: "DINP_UNAVAILABLE", retryable: true });
    for (const [index, [, operation]] of all.entries()) {
      const holds = await operation(sceneAt(scenes, index));
      await holds();
    }
  });

  it("a large write survives that the server is killed in its middle, from what it kept on disk", async () => {
    const registry = client({ limits: patient, spool });
    const before = proxy.sentBytes;
    proxy.set({ kind: "slow", bytes: 64 * 1024 });
    const writing = registry.writeBlob(repository, pieces(blob));
    await expect.poll(() => proxy.sentBytes - before).toBeGreaterThan(MB);
    await server.kill();
    proxy.set({ kind: "none" });
    await server.restart();
    const { digest, size } = await writing;
    expect({ digest, size }).toEqual({ digest: sha256(blob), size: blob.length });
    expect((await collect(registry.readBlob(repository, digest))).equals(blob)).toBe(true);
  });

  it("a large write of a source that can be read again survives that the server is killed, with no disk", async () => {
    const registry = client({ limits: patient });
    const before = proxy.sentBytes;
    let [opened, left] = [0, 0];
    const source = async function* (): AsyncGenerator<Uint8Array> {
      try {
        yield* pieces(blob);
      } finally {
        left += 1;
      }
    };
    proxy.set({ kind: "slow", bytes: 64 * 1024 });
    const writing = registry.writeBlob(repository, () => {
      opened += 1;
      return source();
    });
    await expect.poll(() => proxy.sentBytes - before).toBeGreaterThan(MB);
    await server.kill();
    proxy.set({ kind: "none" });
    await server.restart();
    const { digest } = await writing;
    expect((await collect(registry.readBlob(repository, digest))).equals(blob)).toBe(true);
    expect(opened).toBeGreaterThan(1);
    await expect.poll(() => left).toBe(opened);
  });

  it("an abort ends a write that has begun anew", async () => {
    const registry = client({ limits: patient });
    const stop = new AbortController();
    const again = new EventEmitter();
    let [opened, left] = [0, 0];
    const source = async function* (): AsyncGenerator<Uint8Array> {
      opened += 1;
      try {
        yield* pieces(blob);
        if (opened === 1) return;
        again.emit("again");
        await new Promise((resolve) => {
          stop.signal.addEventListener("abort", resolve);
        });
      } finally {
        left += 1;
      }
    };
    proxy.set({ kind: "cut", way: "up", afterBytes: MB, times: 1 });
    const begun = once(again, "again");
    const writing = errorOf(registry.writeBlob(repository, source, { signal: stop.signal }));
    await begun;
    stop.abort();
    expect(await writing).toMatchObject({ code: "DINP_ABORTED" });
    await expect.poll(() => left).toBe(2);
  });

  it("a disk that is full costs a large write no more than its second chance", async () => {
    const full: Spool = {
      open: async () => {
        const kept = await spool.open();
        let room = MB;
        return {
          append: (bytes) => {
            room -= bytes.length;
            return room < 0 ? Promise.reject(new Error("ENOSPC")) : kept.append(bytes);
          },
          read: (offset, countMax) => kept.read(offset, countMax),
          close: () => kept.close(),
        };
      },
    };
    const registry = client({ spool: full });
    const bytes = randomBytes(2 * MB);
    await registry.writeBlob(repository, pieces(bytes));
    expect((await collect(registry.readBlob(repository, sha256(bytes)))).equals(bytes)).toBe(true);
    proxy.set({ kind: "cut", way: "up", afterBytes: 1_500_000, times: 1 });
    const cut = client({ spool: full });
    const failure = await errorOf(cut.writeBlob(repository, pieces(randomBytes(2 * MB))));
    expect(failure).toMatchObject({ code: "DINP_UNAVAILABLE", retryable: true });
  });

  it("a large write fails within its bounds when the server hangs in its middle", async () => {
    const registry = client({ limits: { attempts: 2, responseMs: 3_000 } });
    const big = new Uint8Array(48 * MB);
    const before = proxy.sentBytes;
    proxy.set({ kind: "slow", bytes: MB });
    const writing = errorOf(registry.writeBlob(repository, () => pieces(big, MB)));
    await expect.poll(() => proxy.sentBytes - before).toBeGreaterThan(MB);
    await server.pause();
    const failure = await writing.finally(() => {
      server.resume();
      proxy.set({ kind: "none" });
    });
    expect(failure).toMatchObject({ code: "DINP_UNAVAILABLE", retryable: true });
    expect((await client().writeBlob(repository, pieces(big, MB))).digest).toBe(sha256(big));
  });

  it("a large write without a disk to keep its beginning on fails, leaves nothing, and can be made again", async () => {
    const registry = client({ limits: patient });
    const bytes = randomBytes(2 * MB);
    // The cut is inside the fourth chunk: what the server has of it, it cannot tell.
    proxy.set({ kind: "cut", way: "up", afterBytes: 900_000, times: 1 });
    const failure = await errorOf(registry.writeBlob(repository, pieces(bytes)));
    expect(failure).toMatchObject({ code: "DINP_UNAVAILABLE", retryable: true });
    expect(await registry.hasBlob(repository, sha256(bytes))).toBe(false);
    await registry.writeBlob(repository, pieces(bytes));
    expect((await collect(registry.readBlob(repository, sha256(bytes)))).equals(bytes)).toBe(true);
  });

  it("a read that is cut goes on there: what came before is not sent again", async () => {
    const { digest } = await client().writeBlob(repository, pieces(blob));
    // Slowly, so that little is on its way when the connection is cut: a reset loses that.
    proxy.set({ kind: "slow", bytes: 32 * 1024 });
    const chunks: Uint8Array[] = [];
    let taken = 0;
    let receivedAtCut: number | null = null;
    for await (const chunk of client().readBlob(repository, digest)) {
      chunks.push(chunk);
      taken += chunk.length;
      if (receivedAtCut !== null || taken < MB) continue;
      receivedAtCut = proxy.receivedBytes;
      proxy.set({ kind: "cut", way: "down", afterBytes: 0, times: 1 });
    }
    expect(Buffer.concat(chunks).equals(blob)).toBe(true);
    expect(proxy.cutsLeft).toBe(0);
    const receivedAfter = proxy.receivedBytes - (receivedAtCut ?? Infinity);
    expect(receivedAfter).toBeGreaterThan(MB);
    expect(receivedAfter).toBeLessThan(blob.length - MB / 2);
  });

  it("a large read goes on where the server was killed", async () => {
    const registry = client({ limits: patient });
    const { digest } = await registry.writeBlob(repository, pieces(blob));
    proxy.set({ kind: "slow", bytes: 32 * 1024 });
    const chunks: Uint8Array[] = [];
    for await (const chunk of registry.readBlob(repository, digest)) {
      if (chunks.length === 3) {
        await server.kill();
        proxy.set({ kind: "none" });
        await server.restart();
      }
      chunks.push(chunk);
    }
    expect(Buffer.concat(chunks).equals(blob)).toBe(true);
  });

  it(
    "whatever is cut, wherever and however often, a read or a write is whole or fails as retryable",
    { timeout: 120_000 },
    async () => {
      const bytes = randomBytes(700_000);
      const digest = sha256(bytes);
      await client().writeBlob(repository, pieces(bytes));
      let round = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.constantFrom("up" as const, "down" as const),
          fc.integer({ min: 0, max: 800_000 }),
          fc.integer({ min: 1, max: 5 }),
          fc.boolean(),
          async (way, afterBytes, times, isSpooled) => {
            const registry = client(isSpooled ? { spool } : {});
            const into = `cuts/r${String((round += 1))}`;
            proxy.set({ kind: "cut", way, afterBytes, times });
            const read = await collect(registry.readBlob(repository, digest)).catch(
              (error: unknown) => error,
            );
            proxy.set({ kind: "cut", way, afterBytes, times });
            const written = await registry.writeBlob(into, pieces(bytes)).catch((error: unknown) => error);
            proxy.set({ kind: "none" });
            if (Buffer.isBuffer(read)) expect(read.equals(bytes)).toBe(true);
            else expect(read).toMatchObject({ code: "DINP_UNAVAILABLE", retryable: true });
            const isThere = await registry.hasBlob(into, digest);
            if (written instanceof Error) {
              expect(written).toMatchObject({ code: "DINP_UNAVAILABLE", retryable: true });
              await registry.writeBlob(into, pieces(bytes));
            } else {
              expect(written).toEqual({ digest, size: bytes.length });
              expect(isThere).toBe(true);
            }
            expect((await collect(registry.readBlob(into, digest))).equals(bytes)).toBe(true);
            await registry.close();
          },
        ),
        { numRuns: 15 },
      );
    },
  );

  it("a write is as slow as the way: it reads no further ahead than the buffers on it", async () => {
    const registry = client();
    const before = proxy.sentBytes;
    let read = 0;
    let aheadMax = 0;
    const source = async function* (): AsyncGenerator<Uint8Array> {
      for (let n = 0; n < 48; n += 1) {
        read += MB;
        aheadMax = Math.max(aheadMax, read - (proxy.sentBytes - before));
        yield await Promise.resolve(new Uint8Array(MB).fill(n));
      }
    };
    proxy.set({ kind: "slow", bytes: 1024 * 1024 });
    await registry.writeBlob(repository, source());
    proxy.set({ kind: "none" });
    expect(read).toBe(48 * MB);
    expect(aheadMax).toBeLessThan(24 * MB);
  });

  it("a read is as slow as its reader: what nobody takes is not fetched", async () => {
    const big = new Uint8Array(48 * MB);
    const direct = clientOf(server.url, {});
    const { digest } = await direct.writeBlob(repository, pieces(big, MB));
    await direct.close();
    const before = proxy.receivedBytes;
    const reader = client().readBlob(repository, digest)[Symbol.asyncIterator]();
    await reader.next();
    // Until the buffers on the way are full.
    const samples = [-1, -2, -3];
    await until(() => {
      samples.push(proxy.receivedBytes);
      return new Set(samples.slice(-5)).size === 1;
    }, "the end of what is fetched");
    expect(proxy.receivedBytes - before).toBeLessThan(24 * MB);
    let rest = 0;
    for (let next = await reader.next(); next.done !== true; next = await reader.next())
      rest += next.value.length;
    expect(rest).toBeGreaterThan(47 * MB);
  });

  it("an abort ends each call at once, also while the server hangs", async () => {
    const registry = client();
    const image = await putImage(registry, "live");
    await server.pause();
    try {
      const stop = new AbortController();
      const { signal } = stop;
      const calls = [
        registry.resolve(repository, "live", { signal }),
        registry.list(repository, { signal }),
        registry.readManifest(repository, image.digest, { signal }),
        registry.writeManifest(repository, { mediaType: manifestType, bytes: image.bytes }, { signal }),
        registry.hasBlob(repository, image.layer.digest, { signal }),
        collect(registry.readBlob(repository, image.layer.digest, { signal })),
        registry.writeBlob(repository, pieces(blob), { signal }),
        registry.mountBlob("apps/other", image.layer.digest, repository, { signal }),
        registry.delete(repository, image.digest, { signal }),
      ].map(errorOf);
      stop.abort();
      for (const error of await Promise.all(calls)) expect(error).toMatchObject({ code: "DINP_ABORTED" });
    } finally {
      server.resume();
    }
  });

  it("ends what runs and gives its sockets back when it is closed", async () => {
    const registry = client();
    await server.pause();
    try {
      const before = proxy.sentBytes;
      const calls = [1, 2, 3].map(() => errorOf(registry.resolve(repository, "live")));
      await until(() => proxy.sentBytes > before, "the requests");
      await registry.close();
      for (const error of await Promise.all(calls)) expect(error).toMatchObject({ code: "DINP_CLOSED" });
      expect(await errorOf(registry.list(repository))).toMatchObject({ code: "DINP_CLOSED" });
    } finally {
      server.resume();
    }
  });
});

function sceneAt<T>(scenes: readonly T[], index: number): T {
  const scene = scenes[index];
  if (scene === undefined) throw new Error(`There is no scene ${String(index)}.`);
  return scene;
}
