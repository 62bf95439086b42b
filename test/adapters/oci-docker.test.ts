import { createHash, randomBytes } from "node:crypto";
import { execFile, spawn } from "node:child_process";
import {
  chmod,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createBuilder, type Builder, type ImageRef, type Registry } from "@dinp/core";
import { createNodeHasher, createSystemClock } from "@dinp/core/system";
import { createTarArchive, packDirectory } from "@dinp/core/tar";
import { parseYaml } from "@dinp/core/yaml";
import { describeWithServices } from "../support/services.js";
import { clientOf, ownPath, tlsOptions } from "./oci-support/clients.js";
import { FaultProxy } from "./oci-support/fault-proxy.js";
import { collect } from "./oci-support/images.js";

const execute = promisify(execFile);
const MB = 1024 * 1024;

interface TreeFile {
  readonly type: string;
  readonly mode: number;
  readonly link: string | null;
  readonly sha256: string | null;
}

describeWithServices(
  ["docker", "registry", "registry-tls"],
  "an image built straight into a registry",
  (places) => {
    let folder: string;
    let app: string;

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "dinp-oci-docker-"));
      app = join(folder, "app");
      await makeApp(app);
    });

    afterAll(async () => {
      await rm(folder, { recursive: true, force: true });
    });

    /** The Docker client with credentials of this test's own. */
    const docker = async (...args: readonly string[]): Promise<string> => {
      const base = ["--config", join(folder, "docker"), "-H", `unix://${places.DINP_TEST_DOCKER_SOCKET}`];
      const { stdout } = await execute(places.DINP_TEST_DOCKER_CLIENT, [...base, ...args]);
      return stdout.trim();
    };

    /** All files below `app` in a container of the image, as Docker has them. */
    const filesIn = async (image: string): Promise<ReadonlyMap<string, TreeFile>> => {
      const container = await docker("create", "--network", "none", image, "/none");
      try {
        const exporting = spawn(
          places.DINP_TEST_DOCKER_CLIENT,
          [...["-H", `unix://${places.DINP_TEST_DOCKER_SOCKET}`, "export", container]],
          { stdio: ["ignore", "pipe", "inherit"] },
        );
        const files = new Map<string, TreeFile>();
        const options = { format: "tar", maxBytes: 1e10, maxEntries: 1e6 } as const;
        for await (const { path, type, mode, linkTarget, content } of createTarArchive().read(
          exporting.stdout,
          options,
        )) {
          const sha256 = type === "file" ? hash(await collect(content)) : null;
          if (path === "app/" || path.startsWith("app/"))
            files.set(path.replace(/\/$/, ""), { type, mode, link: linkTarget, sha256 });
        }
        return files;
      } finally {
        await docker("rm", container);
      }
    };

    const registries = [
      ["open", places.DINP_TEST_REGISTRY, {}],
      ["with TLS and basic auth", places.DINP_TEST_REGISTRY_TLS, tlsOptions(places)],
    ] as const;

    it.each(registries)(
      "is pulled by Docker from one that is %s, the same file by file",
      { timeout: 300_000 },
      async (_, url, options) => {
        const path = ownPath();
        const registry = clientOf(`${url}/${path}`, options);
        try {
          const { image } = await builderFor(registry).build({
            repository: "apps/hello",
            bytes: (await packDirectory(app)).bytes,
            format: "tar.gz",
            tag: "v1",
          });
          if ("credentials" in options) {
            const { username, password } = options.credentials;
            await docker("login", "--username", username, "--password", password, new URL(url).host);
          }
          const name = `${new URL(url).host}/${path}/${image.repository}`;
          await docker("pull", `${name}@${image.digest}`);
          await docker("pull", `${name}:v1`);
          const files = await filesIn(`${name}@${image.digest}`);
          const expected = await treeOf(app, "app");
          expect(expected.size).toBeGreaterThan(300);
          expect(sorted(files)).toEqual(sorted(expected));
          expect(await configOf(registry, image)).toMatchObject({
            config: { WorkingDir: "/app" },
            rootfs: {
              diff_ids: JSON.parse(
                await docker("inspect", "-f", "{{json .RootFS.Layers}}", `${name}:v1`),
              ) as unknown,
            },
          });
          await docker("rmi", `${name}@${image.digest}`, `${name}:v1`);
        } finally {
          await registry.close();
        }
      },
    );

    it("passes through in a stream: little of it is anywhere on the way", { timeout: 300_000 }, async () => {
      const { port } = new URL(places.DINP_TEST_REGISTRY);
      const proxy = await FaultProxy.start(Number(port));
      const url = `http://127.0.0.1:${String(proxy.port)}/${ownPath()}`;
      const registry = clientOf(url);
      const big = join(folder, "big");
      await mkdir(big);
      await writeFile(join(big, "index.html"), "<h1>big</h1>");
      // Bytes that cannot be compressed: as many come in as go out.
      await writeFile(join(big, "random"), randomBytes(32 * MB));
      const packed = await packDirectory(big);
      let read = 0;
      let heldMax = 0;
      const source = async function* (): AsyncGenerator<Uint8Array> {
        for await (const chunk of packed.bytes) {
          read += chunk.length;
          heldMax = Math.max(heldMax, read - proxy.sentBytes);
          yield chunk;
        }
      };
      await builderFor(registry).build({ repository: "apps/big", bytes: source(), format: "tar.gz" });
      await registry.close();
      await proxy.close();
      expect(read).toBeGreaterThan(32 * MB);
      // What is unpacked ahead, and the chunk that is sent while the next one is read, in either form.
      expect(heldMax).toBeLessThan(12 * MB);
    });
  },
);

function builderFor(registry: Registry): Builder {
  return createBuilder({
    registry,
    archive: createTarArchive(),
    hasher: createNodeHasher(),
    clock: createSystemClock(),
    parseYaml,
  });
}

async function configOf(registry: Registry, { repository, digest }: ImageRef): Promise<unknown> {
  const { bytes } = await registry.readManifest(repository, digest);
  const { config } = JSON.parse(new TextDecoder().decode(bytes)) as {
    readonly config: { readonly digest: string };
  };
  return JSON.parse((await collect(registry.readBlob(repository, config.digest))).toString()) as unknown;
}

/** A real tree of hundreds of files, with links and modes. */
async function makeApp(app: string): Promise<void> {
  const modules = fileURLToPath(new URL("../../node_modules", import.meta.url));
  await mkdir(join(app, "node_modules/.bin"), { recursive: true });
  for (const name of ["hono", "yaml", "tar-stream"]) {
    await cp(join(modules, name), join(app, "node_modules", name), { recursive: true, dereference: true });
  }
  await symlink("../yaml/bin.mjs", join(app, "node_modules/.bin/yaml"));
  await writeFile(join(app, "package.json"), '{"scripts":{"start":"node server.js"}}');
  await writeFile(join(app, "server.js"), "#!/usr/bin/env node\n");
  await chmod(join(app, "server.js"), 0o755);
  await mkdir(join(app, "ünïcode folder"));
  await writeFile(join(app, "ünïcode folder", `${"long-".repeat(40)}ß.txt`), "long");
  await writeFile(join(app, "empty"), "");
}

async function treeOf(dir: string, prefix: string): Promise<ReadonlyMap<string, TreeFile>> {
  const found = new Map<string, TreeFile>([
    [prefix, { type: "directory", mode: 0o755, link: null, sha256: null }],
  ]);
  for (const name of await readdir(dir, { recursive: true })) {
    const path = join(dir, name);
    const stats = await lstat(path);
    const key = `${prefix}/${name}`;
    if (stats.isDirectory()) found.set(key, { type: "directory", mode: 0o755, link: null, sha256: null });
    else if (stats.isSymbolicLink())
      found.set(key, { type: "symlink", mode: 0o777, link: await readlink(path), sha256: null });
    else
      found.set(key, {
        type: "file",
        mode: (stats.mode & 0o111) === 0 ? 0o644 : 0o755,
        link: null,
        sha256: hash(await readFile(path)),
      });
  }
  return found;
}

function hash(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function sorted<T>(map: ReadonlyMap<string, T>): readonly (readonly [string, T])[] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}
