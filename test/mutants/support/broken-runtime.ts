import { createHash } from "node:crypto";
import { createServer } from "node:net";
import {
  DinpError,
  type DinpErrorCode,
  type InstanceSpec,
  type Runtime,
  type RuntimeInstance,
} from "@dinp/core";
import type { RuntimeHarness } from "@dinp/core/testing";
import type { Mutant } from "../matrix.js";
import { MemoryMachine } from "./memory-runtime/machine.js";
import { MemoryRuntime, type Disk } from "./memory-runtime/memory-runtime.js";

/** A runtime, and the machine on which its processes run. */
export interface RuntimePort {
  readonly runtime: Runtime;
  readonly machine: MemoryMachine;
}

/** A harness whose runtimes are all wrapped by `mutate`. */
export async function runtimeHarness(mutate: (port: RuntimePort) => RuntimePort): Promise<RuntimeHarness> {
  const machine = new MemoryMachine();
  const source = new Map<string, string>();
  const ports = new Set<number>();
  const make = (disk: Disk): Runtime =>
    mutate({ runtime: new MemoryRuntime({ machine, disk, source }), machine }).runtime;
  const disk = emptyDisk("own");
  const opened = async (on: Disk): Promise<Runtime> => {
    const runtime = make(on);
    await runtime.open();
    return runtime;
  };
  let runtime = await opened(disk);
  return {
    runtime,
    hostAddress: "127.0.0.1",
    unopened: () => make(disk),
    freePort: async () => {
      const port = await takePort();
      ports.add(port);
      return port;
    },
    makeImage: (files) => {
      const text = JSON.stringify(files);
      const digest = `sha256:${createHash("sha256").update(text).digest("hex")}`;
      source.set(digest, text);
      return Promise.resolve({ repository: "apps/test", digest });
    },
    reopen: async () => {
      await runtime.close();
      runtime = await opened(disk);
      return runtime;
    },
    damage: ({ digest }) => {
      source.set(digest, `${source.get(digest) ?? ""} `);
      return Promise.resolve();
    },
    foreign: () => opened(emptyDisk("foreign")),
    outage: () => {
      disk.isOut = true;
      return Promise.resolve(() => {
        disk.isOut = false;
        return Promise.resolve();
      });
    },
    dispose: () => {
      machine.dispose();
      for (const port of ports) taken.delete(port);
      return Promise.resolve();
    },
  };
}

/** Ports of harnesses that live: there are too few for one to be given only once. */
const taken = new Set<number>();

async function takePort(): Promise<number> {
  for (;;) {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    await new Promise((resolve) => server.close(resolve));
    if (typeof address !== "object" || address === null || taken.has(address.port)) continue;
    taken.add(address.port);
    return address.port;
  }
}

function emptyDisk(clusterId: string): Disk {
  return { clusterId, instances: new Map(), images: new Set(), isOut: false };
}

/** A runtime that does what `breaks` says, and everything else as the good one that it is given. */
export function brokenRuntime(
  name: string,
  caughtBy: string,
  breaks: (runtime: Runtime, machine: MemoryMachine) => Partial<Runtime>,
): Mutant<RuntimePort> {
  return {
    name,
    caughtBy,
    mutate: ({ runtime, machine }) => ({
      machine,
      runtime: { ...forwarding(runtime), ...breaks(runtime, machine) },
    }),
  };
}

function forwarding(runtime: Runtime): Runtime {
  return {
    open: (...call) => runtime.open(...call),
    capacity: () => runtime.capacity(),
    prepareImage: (...call) => runtime.prepareImage(...call),
    list: (...call) => runtime.list(...call),
    start: (...call) => runtime.start(...call),
    stop: (...call) => runtime.stop(...call),
    remove: (...call) => runtime.remove(...call),
    watch: (...call) => runtime.watch(...call),
    logs: (...call) => runtime.logs(...call),
    stats: (...call) => runtime.stats(...call),
    exec: (...call) => runtime.exec(...call),
    run: (...call) => runtime.run(...call),
    pruneImages: (...call) => runtime.pruneImages(...call),
    close: () => runtime.close(),
  };
}

/** The code with which the call fails, null when it does not. */
export async function failed(call: Promise<unknown>): Promise<DinpErrorCode | null> {
  try {
    await call;
    return null;
  } catch (error) {
    if (error instanceof DinpError) return error.code;
    throw error;
  }
}

/** A runtime that tells of its instances, in lists and at starts, as `change` says. */
export function telling(
  runtime: Runtime,
  change: (instance: RuntimeInstance) => RuntimeInstance,
): Pick<Runtime, "list" | "start"> {
  return {
    list: async (options) => (await runtime.list(options)).map(change),
    start: async (spec: InstanceSpec, options) => change(await runtime.start(spec, options)),
  };
}

/** Lets all processes of some groups but the first ones run on, unattended. */
export function loseChildren(machine: MemoryMachine, kind: "instance" | "exec" | "run"): void {
  const processes = machine.processesOf((group) => group.startsWith(kind));
  machine.lose(processes.filter(({ options }) => !options.isFirst));
}
