import { randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { text } from "node:stream/consumers";
import Dockerode from "dockerode";
import { firstAnswer } from "./platform.js";

const WAIT_MS_MAX = 120_000;

/**
 * Milliseconds that a Docker engine takes by itself, from the first byte of an image's archive to the first answer of a container
 * that was made of it.
 */
export async function engineAlone(
  socketPath: string,
  archive: string,
  image: string,
  port: number,
): Promise<number> {
  const engine = new Dockerode({ socketPath, timeout: WAIT_MS_MAX });
  const name = `dinp-bench-${randomBytes(6).toString("hex")}`;
  const started = performance.now();
  try {
    const said = await text(await engine.loadImage(createReadStream(archive), { quiet: true }));
    if (said.includes('"error"')) throw new Error(`The engine does not load ${archive}: ${said}`);
    const container = await engine.createContainer({
      name,
      Image: image,
      Env: ["PORT=8080"],
      ExposedPorts: { "8080/tcp": {} },
      HostConfig: { PortBindings: { "8080/tcp": [{ HostIp: "127.0.0.1", HostPort: String(port) }] } },
    });
    await container.start();
    await firstAnswer(`http://127.0.0.1:${String(port)}`, "localhost", () => false);
    return performance.now() - started;
  } finally {
    await engine
      .getContainer(name)
      .remove({ force: true })
      .catch(() => undefined);
  }
}
