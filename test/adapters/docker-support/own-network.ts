import { execFile } from "node:child_process";
import { randomBytes, randomInt } from "node:crypto";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** A network namespace of a test's own, as another machine's network: with firewall rules and ports of its own. */
export class OwnNetwork {
  readonly #name: string;
  /** Where this machine reaches what listens in it. */
  readonly address: string;
  /** Where what runs in it reaches this machine. */
  readonly gateway: string;

  private constructor(name: string, address: string, gateway: string) {
    this.#name = name;
    this.address = address;
    this.gateway = gateway;
  }

  static async make(): Promise<OwnNetwork> {
    const id = randomBytes(4).toString("hex");
    const name = `dinp-${id}`;
    // Engines of tests are in the ranges below 10.240.
    const block = `10.${String(randomInt(240, 256))}.${String(randomInt(256))}`;
    const host = 4 * randomInt(64);
    const [here, there] = [`${block}.${String(host + 1)}`, `${block}.${String(host + 2)}`];
    const network = new OwnNetwork(name, there, here);
    const device = `dinpv${id}`;
    await ip("netns", "add", name);
    try {
      await ip("link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", name);
      await ip("address", "add", `${here}/30`, "dev", device);
      await ip("link", "set", device, "up");
      await ip("-n", name, "address", "add", `${there}/30`, "dev", "eth0");
      for (const each of ["lo", "eth0"]) await ip("-n", name, "link", "set", each, "up");
      return network;
    } catch (error) {
      await network.remove();
      throw error;
    }
  }

  /** What a command is to begin with, to be run in it. It is the same process in the end. */
  get entry(): readonly [string, ...string[]] {
    // `ip netns exec` would hide the control groups.
    return ["/usr/bin/nsenter", `--net=/run/netns/${this.#name}`];
  }

  /** As when its cable is pulled: nothing passes in either direction, and no connection is told. */
  async cut(): Promise<void> {
    await ip("-n", this.#name, "link", "set", "eth0", "down");
  }

  async heal(): Promise<void> {
    await ip("-n", this.#name, "link", "set", "eth0", "up");
  }

  /** Its devices go with it, as soon as nothing runs in it any more. */
  async remove(): Promise<void> {
    await ip("netns", "delete", this.#name);
  }
}

async function ip(...args: readonly string[]): Promise<void> {
  await execute("/usr/sbin/ip", args);
}
