import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createReadStream, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { z } from "zod";
import { bareEnvironment } from "../lib/environment.js";
import { firstAnswer } from "./platform.js";

const manifestSchema = z.array(z.object({ Config: z.string(), Layers: z.array(z.string()) })).length(1);
const createdSchema = z.object({ Id: z.string() });

/** A Docker engine, asked over its API by nobody but this. */
export class Engine {
  readonly #client: string;
  readonly #socket: string;

  constructor(client: string, socket: string) {
    this.#client = client;
    this.#socket = socket;
  }

  /**
   * An archive of what `docker build` makes of the source, without the layers of its base; the engine has it no more
   * then. What is below `folder` is this method's.
   */
  archiveOf(source: string, folder: string, image: string): string {
    // BuildKit keeps the layers of what it has built.
    const env = bareEnvironment({ DOCKER_HOST: `unix://${this.#socket}`, DOCKER_BUILDKIT: "0" });
    const run = (command: string, ...args: string[]): void => {
      execFileSync(command, args, { env, stdio: ["ignore", "ignore", "inherit"] });
    };
    const unpacked = join(folder, "unpacked");
    const archive = join(folder, "image.tar");
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(unpacked, { recursive: true });
    run(this.#client, "build", "--quiet", "--tag", image, source);
    run(this.#client, "save", "--output", archive, image);
    run(this.#client, "rmi", "--force", image);
    run("tar", "-xf", archive, "-C", unpacked);
    const manifest = manifestSchema.parse(JSON.parse(readFileSync(join(unpacked, "manifest.json"), "utf8")));
    const { Config: config = "", Layers: layers = [] } = manifest[0] ?? {};
    // The engine reads no layer that it has.
    for (const layer of layers.slice(0, 1)) writeFileSync(join(unpacked, layer), "");
    run("tar", "-cf", archive, "-C", unpacked, "manifest.json", config, ...layers);
    return archive;
  }

  /** Milliseconds from the first byte of an archive to the first answer of a container of its image. */
  async loadAndRun(archive: string, image: string, port: number): Promise<number> {
    const name = `dinp-bench-${randomBytes(6).toString("hex")}`;
    const started = performance.now();
    try {
      await this.#ask("POST", "/images/load?quiet=1", createReadStream(archive, { highWaterMark: 2 ** 20 }));
      const created = await this.#ask("POST", `/containers/create?name=${name}`, {
        Image: image,
        Env: ["PORT=8080"],
        ExposedPorts: { "8080/tcp": {} },
        HostConfig: { PortBindings: { "8080/tcp": [{ HostIp: "127.0.0.1", HostPort: String(port) }] } },
      });
      await this.#ask("POST", `/containers/${createdSchema.parse(JSON.parse(created)).Id}/start`, null);
      await firstAnswer(`http://127.0.0.1:${String(port)}`, "localhost", () => false);
      return performance.now() - started;
    } finally {
      await this.#ask("DELETE", `/containers/${name}?force=1`, null).catch(() => undefined);
    }
  }

  #ask(method: string, path: string, body: NodeJS.ReadableStream | object | null): Promise<string> {
    return new Promise((resolve, reject) => {
      const isStream = body !== null && "pipe" in body;
      const headers = { "content-type": isStream ? "application/x-tar" : "application/json" };
      const asked = request({ socketPath: this.#socket, method, path, headers, agent: false }, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => (text += chunk));
        response.once("error", reject);
        response.once("end", () => {
          const { statusCode = 0 } = response;
          if (statusCode < 300 && !text.includes('"error"')) resolve(text);
          else reject(new Error(`The engine answers ${String(statusCode)} to ${method} ${path}: ${text}`));
        });
      });
      asked.once("error", reject);
      if (isStream) body.pipe(asked);
      else asked.end(body === null ? undefined : JSON.stringify(body));
    });
  }
}
