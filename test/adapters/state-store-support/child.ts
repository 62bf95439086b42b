import { fork, type ChildProcess } from "node:child_process";
import { mkdir, mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "tsup";

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** Bundles a program of this folder for a process of its own; gives its file, in a folder from where drivers are found. */
export async function buildChild(name: string): Promise<{ readonly file: string; readonly folder: string }> {
  const cache = join(root, "node_modules/.cache");
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, "dinp-child-"));
  await build({
    entry: { child: fileURLToPath(new URL(`${name}.ts`, import.meta.url)) },
    outDir: folder,
    format: "esm",
    target: "node20",
    platform: "node",
    outExtension: () => ({ js: ".mjs" }),
    config: false,
    silent: true,
    noExternal: [/^@dinp\//],
    external: [/^@electric-sql\//, "pg", /^mysql2/],
    esbuildOptions: (options) => {
      options.alias = {
        ...Object.fromEntries(
          ["pglite", "postgres", "mysql", "tar"].map((name) => [
            `@dinp/core/${name}`,
            join(root, `src/adapters/${name}/index.ts`),
          ]),
        ),
        "@dinp/core": join(root, "src/core/index.ts"),
      };
    },
  });
  return { file: join(folder, "child.mjs"), folder };
}

/** A child and what it has told. */
export class TellingChild {
  readonly process: ChildProcess;
  readonly told: unknown[] = [];
  readonly #ended: Promise<void>;
  #hasEnded = false;

  constructor(file: string, args: readonly string[]) {
    this.process = fork(file, [...args], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    this.process.on("message", (message) => {
      this.told.push(message);
    });
    this.#ended = new Promise((resolve) => {
      this.process.once("close", () => {
        this.#hasEnded = true;
        resolve();
      });
    });
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Resolves when it has told so much; rejects when it ends before. */
  async hasTold(count: number): Promise<void> {
    while (this.told.length < count) {
      if (this.#hasEnded) throw new Error(`The child ended after ${String(this.told.length)} messages.`);
      await new Promise<void>((resolve) => {
        const done = (): void => {
          this.process.off("message", done);
          this.process.off("close", done);
          resolve();
        };
        this.process.once("message", done);
        this.process.once("close", done);
      });
    }
  }

  /** SIGKILL; resolves when it is gone and all that it told was heard. */
  async kill(): Promise<void> {
    this.process.kill("SIGKILL");
    await this.#ended;
  }
}

/** A property of something that a child told. */
export function toldValue(message: unknown, name: string): unknown {
  return typeof message === "object" && message !== null ? Reflect.get(message, name) : undefined;
}
