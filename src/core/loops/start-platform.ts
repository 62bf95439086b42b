import { isDinpError } from "../model/errors.js";
import type { NodeId } from "../model/records.js";
import { defaultPlanPolicy, type PlanPolicy } from "../plan/policy.js";
import type { Builder } from "../platform/builder.js";
import type { Images } from "../platform/images.js";
import { createPlatform, type Platform } from "../platform/platform.js";
import type { ControlLink } from "../ports/control-link.js";
import type { Prober } from "../ports/prober.js";
import type { RegistryConnector } from "../ports/registry-connector.js";
import type { RouteTable } from "../ports/route-table.js";
import type { Runtime } from "../ports/runtime.js";
import type { StateStore } from "../ports/state-store.js";
import type { Clock, Hasher, LocalState, Logger, Random, SecretBox } from "../ports/system.js";
import type { UploadFetcher } from "../ports/upload-fetcher.js";
import { Agent } from "./agent.js";
import { InstancePorts, type PortRange } from "./instance-ports.js";
import { createRouteFollower, type RouteFollower } from "./route-follower.js";
import { Server } from "./server.js";

/** The parts of a platform with one node and one router, all in this process. */
export interface StartPlatformOptions {
  /** Opened, as is `runtime`. Closing them is left to whoever made them, after {@link RunningPlatform.stop}. */
  readonly store: StateStore;
  readonly runtime: Runtime;
  readonly table: RouteTable;
  readonly link: ControlLink;
  readonly prober: Prober;
  readonly builder: Builder;
  readonly images?: Images;
  /** For images of other registries; with `secrets`, which keeps their passwords. */
  readonly registries?: RegistryConnector;
  readonly secrets?: SecretBox;
  readonly uploads?: UploadFetcher;
  /** Of the node: keeps its ports and report numbers over restarts. */
  readonly state: LocalState;
  readonly clock: Clock;
  readonly random: Random;
  readonly hasher: Hasher;
  readonly logger: Logger;
  /** Where instances listen, and whether nothing else does. */
  readonly ports: { readonly range: PortRange; readonly isFree: (port: number) => Promise<boolean> };
  /** Apps answer at `NAME.<appsDomain>`. Lower case. */
  readonly appsDomain: string;
  /** Asked anew each time: the router's port may be known only once it listens. */
  readonly routerUrl: () => string;
  readonly clusterId: string;
  readonly version?: string;
  /** Of the node, the server and the router. Default `local`. */
  readonly id?: NodeId;
  /** Where the node's instances are reached. Default `127.0.0.1`. */
  readonly address?: string;
  readonly policy?: PlanPolicy;
}

/** A platform whose engines run. */
export interface RunningPlatform {
  readonly platform: Platform;
  /** The routes, for the router whose id is that of the options. */
  readonly follower: RouteFollower;
  /** Resolves when the engines have ended; rejects with what ended them unasked. */
  readonly ended: Promise<void>;
  /** Ends the engines; instances run on until their runtime is told otherwise. Idempotent, never rejects. */
  readonly stop: () => Promise<void>;
}

/**
 * Starts every engine over the given ports and resolves when the first table of routes is there: what is left is a
 * front, such as a router on `follower` and an API on `platform`. Errors: the store's.
 */
export async function startPlatform(options: StartPlatformOptions): Promise<RunningPlatform> {
  const { store, table, clock, logger, appsDomain, clusterId } = options;
  const { id = "local", version = "", routerUrl } = options;
  await registerRouter(store, id, clock.now());
  const platform = createPlatform({
    ...options,
    logs: { logs: (request) => server.logs({ nodeId: id, ...request }) },
    cluster: () => server,
    info: () => ({ version, clusterId, appsDomain, routerUrl: routerUrl() }),
    imageExpected: (image) => {
      agent.expectImage(image);
    },
  });
  const server = new Server({
    ...options,
    policy: options.policy ?? defaultPlanPolicy,
    holder: id,
    tidy: (tidyOptions) => platform.tidy(tidyOptions),
  });
  const agent = new Agent({
    ...options,
    nodeId: id,
    address: options.address ?? "127.0.0.1",
    ports: new InstancePorts({ ...options.ports, state: options.state, random: options.random }),
  });
  const follower = createRouteFollower({ table, routerId: id, clock, logger });
  const control = new AbortController();
  const { signal } = control;
  const ended = runUntilOneEnds([server.run(signal), agent.run(signal), follower.run(signal)], control);
  const stop = async (): Promise<void> => {
    control.abort();
    await ended.catch(() => undefined);
  };
  // Whoever asks for the end hears of a failure; before anyone asks it must not end the process.
  ended.catch(() => undefined);
  try {
    await follower.whenReady(signal);
  } catch (error) {
    await stop();
    throw error;
  }
  return { platform, follower, ended, stop };
}

async function registerRouter(store: StateStore, id: string, now: number): Promise<void> {
  const router = { id, address: "in this process", registeredAt: now };
  try {
    await store.commit([{ op: "put", kind: "router", value: router, ifRevision: "absent" }]);
  } catch (error) {
    if (!isDinpError(error, "DINP_CONFLICT")) throw error;
  }
}

async function runUntilOneEnds(loops: readonly Promise<void>[], control: AbortController): Promise<void> {
  try {
    await Promise.race(loops);
  } finally {
    control.abort();
    await Promise.allSettled(loops);
  }
  await Promise.all(loops);
}
