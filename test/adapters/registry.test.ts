import { execFileSync, spawn } from "node:child_process";
import { createHash, randomInt } from "node:crypto";
import { mkdtemp, mkdir, open, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "tsup";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Registry } from "@dinp/core";
import { createOciLayoutRegistry } from "@dinp/core/oci-layout";
import { createMemoryRegistry } from "@dinp/core/memory";
import { createNodeHasher, createSystemClock } from "@dinp/core/system";
import { registrySuite } from "@dinp/core/testing";

let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "dinp-registry-"));
});

afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

async function* one(text: string): AsyncGenerator<Uint8Array> {
  yield new TextEncoder().encode(text);
}

function blobPath(dir: string, repository: string, digest: string): string {
  return join(
    dir,
    "repositories",
    repository.replaceAll("/", "+"),
    "blobs/sha256",
    digest.replace("sha256:", ""),
  );
}

async function flipByte(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, 10);
    await file.write(Buffer.from([(buffer[0] ?? 0) ^ 1]), 0, 1, 10);
  } finally {
    await file.close();
  }
}

describe("oci-layout registry: the port's contract", () => {
  const suite = registrySuite({
    damages: true,
    cuts: true,
    create: async () => {
      const dir = await mkdtemp(join(root, "suite-"));
      return {
        registry: createOciLayoutRegistry({ dir }),
        damage: (repository, digest) => flipByte(blobPath(dir, repository, digest)),
        // In place of the repository a link to itself: whatever lies below it cannot be looked at.
        cut: async (repository) => {
          const folder = join(dir, "repositories", repository.replaceAll("/", "+"));
          await rm(folder, { recursive: true });
          await symlink(folder, folder);
        },
        dispose: async () => {
          expect(await readdir(join(dir, "uploads")).catch(() => [])).toEqual([]);
          await rm(dir, { recursive: true });
        },
      };
    },
  });
  for (const { name, run } of suite) it(name, run);
});

describe("memory registry: the port's contract", () => {
  const suite = registrySuite({
    damages: true,
    create: async () => {
      const contents = new Map<string, Uint8Array>();
      const clock = createSystemClock();
      return {
        registry: createMemoryRegistry({ hasher: createNodeHasher(), clock, contents }),
        damage: async (_, digest) => {
          const bytes = contents.get(digest)?.slice() ?? new Uint8Array(11);
          bytes[10] = (bytes[10] ?? 0) ^ 1;
          contents.set(digest, bytes);
        },
        dispose: async () => {},
      };
    },
  });
  for (const { name, run } of suite) it(name, run);
});

describe("memory registry", () => {
  const hour = 3_600_000;
  const put = async (registry: Registry, text: string): Promise<{ manifest: string; config: string }> => {
    const mediaType = "application/vnd.oci.image.manifest.v1+json";
    const config = await registry.writeBlob("apps/hello", one(text));
    const bytes = new TextEncoder().encode(JSON.stringify({ config: { mediaType: "x", ...config } }));
    const { digest } = await registry.writeManifest("apps/hello", { mediaType, bytes }, { tag: text });
    return { manifest: digest, config: config.digest };
  };

  it("gives the memory of a deleted image back when nobody asked for its blobs lately", async () => {
    const contents = new Map<string, Uint8Array>();
    let now = 0;
    const clock = { monotonicMs: () => now };
    const registry = createMemoryRegistry({ hasher: createNodeHasher(), clock, contents });
    const first = await put(registry, "one");
    const second = await put(registry, "two");
    await registry.mountBlob("apps/other", second.config, "apps/hello");
    now += hour;
    await registry.delete("apps/hello", first.manifest);
    expect([...contents.keys()].sort()).toEqual([second.manifest, second.config].sort());
    await registry.delete("apps/hello", second.manifest);
    expect([...contents.keys()]).toEqual([second.config]);
    expect(await registry.hasBlob("apps/hello", second.config)).toBe(false);
    expect(await registry.hasBlob("apps/other", second.config)).toBe(true);
  });

  it("holds no more than it may", async () => {
    const options = { hasher: createNodeHasher(), clock: createSystemClock(), bytesMax: 10 };
    const registry = createMemoryRegistry(options);
    await registry.writeBlob("apps/hello", one("12345678"));
    await registry.writeBlob("apps/hello", one("12345678"));
    await expect(registry.writeBlob("apps/hello", one("123"))).rejects.toMatchObject({
      code: "DINP_TOO_LARGE",
    });
    await registry.writeBlob("apps/hello", one("12"));
  });
});

describe("oci-layout registry on disk", () => {
  it("makes each repository an OCI image layout", async () => {
    const dir = await mkdtemp(join(root, "layout-"));
    const registry = createOciLayoutRegistry({ dir });
    const config = await registry.writeBlob("apps/hello", one("{}"));
    const mediaType = "application/vnd.oci.image.manifest.v1+json";
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType,
      config: { mediaType: "application/vnd.oci.image.config.v1+json", ...config },
      layers: [],
    });
    const bytes = new TextEncoder().encode(manifest);
    const { digest, size } = await registry.writeManifest("apps/hello", { mediaType, bytes }, { tag: "v1" });
    const layout = join(dir, "repositories/apps+hello");
    expect(JSON.parse(await readFile(join(layout, "oci-layout"), "utf8"))).toEqual({
      imageLayoutVersion: "1.0.0",
    });
    expect(JSON.parse(await readFile(join(layout, "index.json"), "utf8"))).toEqual({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.index.v1+json",
      manifests: [{ mediaType, digest, size, annotations: { "org.opencontainers.image.ref.name": "v1" } }],
    });
    expect((await stat(dir)).mode & 0o077).toBe(0);
  });

  it("mounts without copying", async () => {
    const dir = await mkdtemp(join(root, "mount-"));
    const registry = createOciLayoutRegistry({ dir });
    const { digest } = await registry.writeBlob("apps/a", one("shared"));
    await registry.mountBlob("apps/b", digest, "apps/a");
    const [a, b] = await Promise.all(["apps/a", "apps/b"].map((name) => stat(blobPath(dir, name, digest))));
    expect(b?.ino).toBe(a?.ino);
  });

  it("does nothing before its first call, and reads an empty folder as empty", async () => {
    const dir = join(root, "never-made");
    const registry = createOciLayoutRegistry({ dir });
    expect(await registry.list("apps/hello")).toEqual([]);
    await expect(stat(dir)).rejects.toThrow("ENOENT");
  });

  it("removes what a dead writer left, and no file that is not its own", async () => {
    const dir = await mkdtemp(join(root, "leftovers-"));
    const uploads = join(dir, "uploads");
    await mkdir(uploads);
    const dead = await endedPid();
    const names = [`part-${String(dead)}-0123456789abcdef`, "part-1-0123456789abcdef", "notes.txt", "part-x"];
    for (const name of names) await writeFile(join(uploads, name), "half");
    await createOciLayoutRegistry({ dir }).writeBlob("apps/hello", one("x"));
    expect((await readdir(uploads)).sort()).toEqual(["notes.txt", "part-1-0123456789abcdef", "part-x"]);
  });

  it("refuses to change an index that it cannot read, and leaves it as it is", async () => {
    const dir = await mkdtemp(join(root, "corrupt-"));
    const registry = createOciLayoutRegistry({ dir });
    await registry.writeBlob("apps/hello", one("{}"));
    const index = join(dir, "repositories/apps+hello/index.json");
    await writeFile(index, '{"manifests": [');
    const manifest = {
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      bytes: new TextEncoder().encode("{}"),
    };
    await expect(registry.writeManifest("apps/hello", manifest)).rejects.toMatchObject({
      code: "DINP_CORRUPT",
    });
    await expect(registry.list("apps/hello")).rejects.toMatchObject({ code: "DINP_CORRUPT" });
    expect(await readFile(index, "utf8")).toBe('{"manifests": [');
  });

  it("gives the space of a deleted image back when nobody asked for its blobs lately", async () => {
    const dir = await mkdtemp(join(root, "sweep-"));
    const mediaType = "application/vnd.oci.image.manifest.v1+json";
    const writer = createOciLayoutRegistry({ dir });
    const put = async (text: string): Promise<{ readonly manifest: string; readonly config: string }> => {
      const config = await writer.writeBlob("apps/hello", one(text));
      const bytes = new TextEncoder().encode(JSON.stringify({ config: { mediaType: "x", ...config } }));
      const { digest } = await writer.writeManifest("apps/hello", { mediaType, bytes }, { tag: text });
      return { manifest: digest, config: config.digest };
    };
    const first = await put("one");
    const second = await put("two");
    // Another registry on the same folder remembers none of the first one's pushes, as after a restart.
    await createOciLayoutRegistry({ dir }).delete("apps/hello", first.manifest);
    await expect(stat(blobPath(dir, "apps/hello", first.config))).rejects.toThrow("ENOENT");
    await expect(stat(blobPath(dir, "apps/hello", first.manifest))).rejects.toThrow("ENOENT");
    expect((await stat(blobPath(dir, "apps/hello", second.config))).isFile()).toBe(true);
  });

  it("says which disk trouble it met", async () => {
    const dir = join(root, "a-file");
    await writeFile(dir, "not a folder");
    await expect(createOciLayoutRegistry({ dir }).writeBlob("apps/hello", one("x"))).rejects.toMatchObject({
      code: "DINP_UNAVAILABLE",
      retryable: true,
    });
  });
});

describe("a file that can grow no further", () => {
  const script = fileURLToPath(new URL("support/write-blob.mjs", import.meta.url));
  const write = (dir: string, bytes: number): unknown =>
    JSON.parse(
      execFileSync(
        "/bin/bash",
        ["-c", `ulimit -f 4096; exec "$0" "$@"`, process.execPath, script, dir, String(bytes)],
        {
          encoding: "utf8",
        },
      ),
    );

  it.each([5_000_000, 50_000_000])("fails a write of %i bytes, of which nothing stays", async (bytes) => {
    const dir = await mkdtemp(join(root, "full-"));
    expect(write(dir, 4_000_000)).toMatchObject({ size: 4_000_000 });
    expect(write(dir, bytes)).toEqual({ code: "DINP_UNAVAILABLE", cause: "EFBIG" });
    expect(await readdir(join(dir, "uploads"))).toEqual([]);
    expect(await readdir(join(dir, "repositories/apps+hello/blobs/sha256"))).toHaveLength(1);
  });
});

describe("oci-layout registry over kill -9", () => {
  it(
    "has every acknowledged image afterwards, whole, and nothing half-written",
    { timeout: 120_000 },
    async () => {
      const dir = await mkdtemp(join(root, "kill-"));
      const script = await bundleWriter();
      const acknowledged: { readonly tag: string; readonly digest: string }[] = [];
      const seed = randomInt(1_000_000);
      for (let round = 0; round < 6; round += 1) {
        const delay = (seed * (round + 1) * 7_919) % 150;
        acknowledged.push(...(await writeUntilKilled(script, dir, round, delay)));
      }
      expect(acknowledged.length, `seed ${String(seed)}`).toBeGreaterThanOrEqual(6);
      const registry = createOciLayoutRegistry({ dir });
      const tags = new Map((await registry.list("apps/hello")).map(({ tag, digest }) => [tag, digest]));
      for (const { tag, digest } of acknowledged) {
        expect(tags.get(tag), `seed ${String(seed)}: ${tag}`).toBe(digest);
        await registry.readManifest("apps/hello", digest);
      }
      await registry.writeBlob("apps/hello", one("after"));
      expect(await readdir(join(dir, "uploads"))).toEqual([]);
      const blobs = join(dir, "repositories/apps+hello/blobs/sha256");
      for (const name of await readdir(blobs)) {
        const hex = createHash("sha256")
          .update(await readFile(join(blobs, name)))
          .digest("hex");
        expect(hex, `seed ${String(seed)}`).toBe(name);
      }
    },
  );
});

/** A process that writes images as fast as it can and prints each one that was acknowledged. */
async function bundleWriter(): Promise<string> {
  const outDir = await mkdtemp(join(root, "writer-"));
  const source = (path: string): string => fileURLToPath(new URL(`../../src/${path}`, import.meta.url));
  const entry = join(outDir, "writer.ts");
  await writeFile(
    entry,
    `import type { Registry } from "@dinp/core";
import { createOciLayoutRegistry } from ${JSON.stringify(source("adapters/oci-layout/index.ts"))};
const [dir, round] = process.argv.slice(2);
const registry = createOciLayoutRegistry({ dir });
async function* text(value) { yield new TextEncoder().encode(value); }
const mediaType = "application/vnd.oci.image.manifest.v1+json";
console.log("ready");
await Promise.all([0, 1, 2, 3].map(async (writer) => {
  for (let n = 0; ; n += 1) {
    const tag = \`r\${round}-w\${writer}-\${n}\`;
    const config = await registry.writeBlob("apps/hello", text(tag.repeat(20_000)));
    const bytes = new TextEncoder().encode(JSON.stringify({ config: { mediaType: "x", ...config } }));
    const { digest } = await registry.writeManifest("apps/hello", { mediaType, bytes }, { tag });
    process.stdout.write(tag + " " + digest + "\\n");
  }
}));
`,
  );
  await build({
    entry: [entry],
    outDir,
    format: ["esm"],
    outExtension: () => ({ js: ".mjs" }),
    config: false,
    silent: true,
    clean: false,
    dts: false,
    esbuildOptions: (options) => {
      options.alias = { "@dinp/core": source("core/index.ts") };
    },
  });
  return join(outDir, "writer.mjs");
}

async function writeUntilKilled(
  script: string,
  dir: string,
  round: number,
  delayMs: number,
): Promise<readonly { readonly tag: string; readonly digest: string }[]> {
  const child = spawn(process.execPath, [script, dir, String(round)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  const ended = new Promise<void>((resolve) =>
    child.once("close", () => {
      resolve();
    }),
  );
  child.stdout.setEncoding("utf8");
  let isTimed = false;
  child.stdout.on("data", (text: string) => {
    output += text;
    if (isTimed || !/^ready\n.+\n/.test(output)) return;
    isTimed = true;
    setTimeout(() => child.kill("SIGKILL"), delayMs);
  });
  await ended;
  expect(child.signalCode).toBe("SIGKILL");
  const lines = output.split("\n").slice(1, -1);
  return lines.map((line) => {
    const [tag = "", digest = ""] = line.split(" ");
    return { tag, digest };
  });
}

async function endedPid(): Promise<number> {
  const child = spawn(process.execPath, ["--version"], { stdio: "ignore" });
  await new Promise((resolve) => child.once("close", resolve));
  return child.pid ?? 0;
}
