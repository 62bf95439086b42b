import { execFileSync, spawnSync } from "node:child_process";
import {
  copyFileSync,
  linkSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import { bareEnvironment } from "../lib/environment.js";

/** What `docker save` says of the one image in its archive; its layers from the base on. */
const manifestSchema = z.tuple([z.object({ Config: z.string(), Layers: z.tuple([z.string()], z.string()) })]);

/** How Docker builds: with its own builder, or with BuildKit. */
export type DockerBuilder = "classic" | "BuildKit";

export interface DockerTimes {
  readonly buildMs: number;
  readonly pushMs: number;
}

/** The Docker client of one engine. */
export class Docker {
  readonly #client: string;
  readonly #socket: string;

  constructor(client: string, socket: string) {
    this.#client = client;
    this.#socket = socket;
  }

  /** Makes an image of a root file system's folder and pushes it; it stays in the engine, as a base that is known. */
  importAndPush(root: string, name: string): void {
    const packed = execFileSync("tar", ["--owner=0", "--group=0", "-cf", "-", "-C", root, "."], {
      maxBuffer: 2 ** 30,
    });
    execFileSync(this.#client, this.#args("import", "-", name), {
      input: packed,
      stdio: ["pipe", "ignore", "inherit"],
    });
    this.#run({}, "push", "--quiet", name);
  }

  /** `docker build` and `docker push` of `FROM base; ADD app.tar.gz /app`. Nothing of it is cached but the base. */
  buildAndPush(builder: DockerBuilder, context: string, name: string): DockerTimes {
    const env = { DOCKER_BUILDKIT: builder === "BuildKit" ? "1" : "0" };
    const started = performance.now();
    this.#run(env, "build", "--quiet", "--no-cache", "--tag", name, context);
    const built = performance.now();
    this.#run(env, "push", "--quiet", name);
    return { buildMs: built - started, pushMs: performance.now() - built };
  }

  /** The files below `/app` of an image that is pulled, as Docker has them, in the folder that is given back. */
  pullAndUnpack(image: string, into: string): string {
    this.#run({}, "pull", "--quiet", image);
    const container = this.#run({}, "create", "--network", "none", image, "/none");
    try {
      const file = join(into, "container.tar");
      this.#run({}, "export", "--output", file, container);
      execFileSync("tar", ["--no-same-owner", "-xpf", file, "-C", into, "app"]);
      rmSync(file);
      return join(into, "app");
    } finally {
      this.#run({}, "rm", container);
    }
  }

  /**
   * An archive of what `docker build` makes of a context, whose base is one layer and is left out: the engine reads none that it
   * has. It has the others no more. What is in the folder `into` is this method's.
   */
  archiveOf(context: string, image: string, into: string): string {
    const unpacked = join(into, "unpacked");
    const archive = join(into, "image.tar");
    rmSync(into, { recursive: true, force: true });
    mkdirSync(unpacked, { recursive: true });
    // BuildKit would keep the layers.
    this.#run({ DOCKER_BUILDKIT: "0" }, "build", "--quiet", "--tag", image, context);
    this.#run({}, "save", "--output", archive, image);
    this.#run({}, "rmi", "--force", image);
    execFileSync("tar", ["-xf", archive, "-C", unpacked]);
    const [made] = manifestSchema.parse(JSON.parse(readFileSync(join(unpacked, "manifest.json"), "utf8")));
    const [base, ...layers] = made.Layers;
    writeFileSync(join(unpacked, base), "");
    execFileSync("tar", ["-cf", archive, "-C", unpacked, "manifest.json", made.Config, base, ...layers]);
    return archive;
  }

  /** The images, whether they are there or not. */
  remove(images: readonly string[]): void {
    for (const image of images)
      spawnSync(this.#client, this.#args("rmi", "--force", image), { stdio: "ignore" });
  }

  #run(env: Readonly<Record<string, string>>, ...args: readonly string[]): string {
    const options = { encoding: "utf8", env: bareEnvironment(env), maxBuffer: 2 ** 24 } as const;
    const { status, stdout, stderr, error } = spawnSync(this.#client, this.#args(...args), options);
    if (error !== undefined) throw error;
    if (status === 0) return stdout.trim();
    throw new Error(`docker ${args.join(" ")} ended with ${String(status)}: ${stderr.slice(-2_000)}`);
  }

  #args(...args: readonly string[]): string[] {
    return ["--host", `unix://${this.#socket}`, ...args];
  }
}

/** A root file system with this Node and the libraries that it needs, below `folder`. */
export function makeNodeRoot(folder: string): string {
  const root = join(folder, "base");
  const node = realpathSync(process.execPath);
  const libraries = execFileSync("ldd", [node], { encoding: "utf8" }).match(/\/\S+/g) ?? [];
  for (const path of libraries) copyInto(root, path, path);
  copyInto(root, node, "/usr/local/bin/node");
  return root;
}

function copyInto(root: string, from: string, to: string): void {
  const target = join(root, to);
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(from, target);
}

/** The context of a build that adds the archive. */
export function makeContext(folder: string, archive: string, base: string): string {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  linkSync(archive, join(folder, "app.tar.gz"));
  writeFileSync(join(folder, "Dockerfile"), `FROM ${base}\nADD app.tar.gz /app\n`);
  return folder;
}
