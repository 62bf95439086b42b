import { constants } from "node:fs";
import { access, readFile, realpath, stat, statfs } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { messageOf } from "@dinp/core";
import { fail, good, warn, type Check } from "./checks.js";
import { defaultDataFolder } from "./folders.js";
import type { HostPort, PortRange } from "./parse.js";
import type { Environment } from "./terminal.js";
import { formatBytes } from "./text.js";

const NODE_MIN: readonly [number, number] = [20, 19];
const FREE_WARN_BYTES = 5 * 1024 ** 3;
const FREE_FAIL_BYTES = 200 * 1024 ** 2;
/** Where Linux lets its own range begin when nobody says. */
const KERNEL_FIRST = 32_768;
const PROGRAMS = ["node", "python3", "java", "php"];
const PORT_MS = 1_000;

/** The ports that a platform on this machine uses. */
export interface UsedPorts {
  readonly listening: readonly { readonly name: string; readonly at: HostPort }[];
  readonly ofInstances: PortRange;
}

/** Checks of this machine, as one that `dinp up` is to run on. `isUp`: a platform answers, here or elsewhere. */
export async function checkMachine(
  env: Environment,
  dataDirectory: string | null,
  ports: UsedPorts,
  isUp: boolean,
): Promise<readonly Check[]> {
  const checks = [
    checkNode(process.versions.node),
    await checkDataFolder(dataDirectory ?? defaultDataFolder(env)),
  ];
  for (const { name, at } of ports.listening) checks.push(await checkPort(name, at, isUp));
  checks.push(
    await checkMemoryLimits(),
    await checkPrograms(env),
    await checkLocalhost(),
    await checkRange(ports.ofInstances),
  );
  return checks;
}

export function checkNode(version: string): Check {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [wantedMajor, wantedMinor] = NODE_MIN;
  const isNew = major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
  if (isNew) return good("node", `Node.js ${version}`);
  return fail("node", `Node.js ${version} is too old`, `Install ${NODE_MIN.join(".")} or newer.`);
}

async function checkDataFolder(folder: string): Promise<Check> {
  const name = "data folder";
  let present = folder;
  while (!(await exists(present)) && dirname(present) !== present) present = dirname(present);
  try {
    if (!(await stat(present)).isDirectory())
      return fail(name, `${present} is not a folder`, "Choose another with --data DIR.");
    await access(present, constants.W_OK | constants.X_OK);
    const { bavail, bsize } = await statfs(present);
    const free = bavail * bsize;
    const text = `${folder}${present === folder ? "" : " (not made yet)"}, ${formatBytes(free)} free`;
    if (free < FREE_FAIL_BYTES) return fail(name, text, "Make room, or choose another disk with --data DIR.");
    if (free < FREE_WARN_BYTES) return warn(name, text, "Images take room: make some before long.");
    return good(name, (await isInUse(folder)) ? `${text}; in use by a platform that runs` : text);
  } catch (error) {
    const hint = "Choose a folder that this user may write to, with --data DIR.";
    return fail(name, `${folder} cannot be used: ${messageOf(error)}`, hint);
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** True while a platform runs from the folder: its runtime holds an abstract socket (unix(7)) that is named after it. */
async function isInUse(folder: string): Promise<boolean> {
  const root = await realpath(join(folder, "node")).catch(() => null);
  if (root === null) return false;
  const { createHash } = await import("node:crypto");
  const id = createHash("sha256").update(root).digest("hex").slice(0, 12);
  const sockets = await readFile("/proc/net/unix", "latin1").catch(() => "");
  return sockets.includes(`@dinp-process-runtime-${id}`);
}

/** A free port is right before `dinp up`, a taken one while it runs. */
async function checkPort(name: string, at: HostPort, isUp: boolean): Promise<Check> {
  const address = `${at.host}:${String(at.port)}`;
  const isTaken = await answers(at);
  if (!isTaken) return good(`${name} port`, `${address} is free`);
  if (isUp) return good(`${name} port`, `${address} is taken, presumably by the platform`);
  const hint = `End that program, or start with another: dinp up --${name} HOST:PORT.`;
  return fail(`${name} port`, `${address} is taken by another program`, hint);
}

async function answers(at: HostPort): Promise<boolean> {
  const { connect } = await import("node:net");
  return await new Promise((resolve) => {
    const socket = connect({ host: at.host, port: at.port });
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(PORT_MS, () => {
      end(false);
    });
    socket.once("connect", () => {
      end(true);
    });
    socket.once("error", () => {
      end(false);
    });
  });
}

async function checkMemoryLimits(): Promise<Check> {
  const name = "memory limit";
  const sampled = "memory is watched by sampling: an app may pass its limit for a moment";
  const hint = "Run as root where cgroups can be written, to have the kernel enforce it.";
  const controllers = await readFile("/sys/fs/cgroup/cgroup.controllers", "utf8").catch(() => "");
  const candidates = [
    ...(controllers.split(/\s+/).includes("memory") ? ["/sys/fs/cgroup/cgroup.subtree_control"] : []),
    "/sys/fs/cgroup/memory/tasks",
  ];
  for (const file of candidates) {
    const isWritable = await access(file, constants.W_OK).then(
      () => true,
      () => false,
    );
    if (isWritable)
      return good(name, `enforced by the kernel (cgroup v${file.includes("subtree") ? "2" : "1"})`);
  }
  return warn(name, sampled, hint);
}

async function checkPrograms(env: Environment): Promise<Check> {
  const found: string[] = [];
  for (const program of PROGRAMS) {
    for (const folder of (env["PATH"] ?? "").split(delimiter)) {
      const isThere = await access(join(folder, program), constants.X_OK).then(
        () => folder !== "",
        () => false,
      );
      if (!isThere) continue;
      found.push(program);
      break;
    }
  }
  const missing = PROGRAMS.filter((program) => !found.includes(program));
  const text = `found ${found.length === 0 ? "none" : found.join(", ")}`;
  if (missing.length === 0) return good("programs", text);
  return warn("programs", `${text}; no ${missing.join(", ")}`, "Install those that your apps need.");
}

async function checkLocalhost(): Promise<Check> {
  const name = "name lookup";
  try {
    const { lookup } = await import("node:dns/promises");
    const { address } = await lookup("name.apps.localhost");
    return good(name, `name.apps.localhost is ${address}`);
  } catch {
    const text = "name.apps.localhost is not known to this machine's resolver";
    const hint = "Browsers and curl know it by themselves; other programs must be given the Host header.";
    return warn(name, text, hint);
  }
}

/** Ports that the kernel gives to outgoing connections must not be those of instances. */
async function checkRange({ first: from, last: to }: PortRange): Promise<Check> {
  const name = "port range";
  const text = await readFile("/proc/sys/net/ipv4/ip_local_port_range", "utf8").catch(() => "");
  const [first = 0, last = 0] = text.trim().split(/\s+/).map(Number);
  const own = `${String(from)} to ${String(to)}`;
  if (last === 0) return good(name, `instances use ${own}`);
  const kernel = `${String(first)} to ${String(last)}`;
  if (last < from || first > to) return good(name, `instances use ${own}, the kernel ${kernel}`);
  const hint =
    to < KERNEL_FIRST
      ? `Let it begin at ${String(KERNEL_FIRST)}: sysctl -w net.ipv4.ip_local_port_range='${String(KERNEL_FIRST)} 60999'.`
      : `Choose ports below ${String(first)} with --instance-ports FIRST-LAST.`;
  return warn(name, `the kernel's ports (${kernel}) overlap those of instances (${own})`, hint);
}
