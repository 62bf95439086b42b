import {
  type AllowedUploadPlace,
  combineArchives,
  createBaseSource,
  createBuilder,
  createImages,
  DinpError,
  type Logger,
  newId,
  type Platform,
  startPlatform,
  type StateStore,
  type Template,
} from "@dinp/core";
import type {
  LayerCompression,
  PortRange,
  RuntimeKind,
  UpBuilderOptions,
  UpRegistryOptions,
} from "@dinp/core/cli";
import { createGzipCompressor } from "@dinp/core/gzip";
import { createHttpApi } from "@dinp/core/http-api";
import { createInProcessControlLink } from "@dinp/core/in-process";
import { createMemoryRouteTable } from "@dinp/core/memory";
import { createPgliteStateStore } from "@dinp/core/pglite";
import {
  createFileLocalState,
  createFileSecretBox,
  createNodeHasher,
  createSystemClock,
  createSystemRandom,
  isPortFree,
} from "@dinp/core/system";
import { createTarArchive } from "@dinp/core/tar";
import { createUploadFetcher } from "@dinp/core/url-fetch";
import { createSingleFileReader, createZipReader } from "@dinp/core/zip";
import type { HostPort } from "../config/setting.js";
import { createRequestRouter, urlOf } from "../router/request-router.js";
import { Undo } from "../service/undo.js";
import { openBuildSteps } from "../host/build-steps.js";
import { prepareDataFolder } from "./data-folder.js";
import { createRegistryConnector } from "../host/other-registries.js";
import { createBasesOnDemand } from "./bases-on-demand.js";
import { imagePlatform } from "../host/image-platform.js";
import { createNodeRuntime, openNodeRuntime } from "../node/node-runtime.js";
import { openImageRegistry } from "./registry.js";
import type { RegistryAccess } from "./registry-access.js";
import { settle } from "../host/settle.js";
import { settleRuntime } from "./settle-runtime.js";
import { watchStore } from "./store-watch.js";

export interface EmbeddedOptions {
  readonly dataFolder: string;
  readonly api: HostPort;
  readonly router: HostPort;
  /** Of 127.0.0.1. */
  readonly instancePorts: PortRange;
  readonly appsDomain: string;
  readonly layerCompression: LayerCompression;
  /** Null: what the first start chose. */
  readonly runtime: RuntimeKind | null;
  readonly dockerSocket: string;
  readonly registry: UpRegistryOptions;
  readonly registryAccess: RegistryAccess;
  readonly version: string;
  readonly logger: Logger;
  /** What apps can be made of. */
  readonly templates: readonly Template[];
  /** Places that uploads may be fetched from besides the public internet. */
  readonly allowUploadFrom: readonly AllowedUploadPlace[];
  /** Where builds run what apps want installed; null: nowhere. */
  readonly buildSteps: UpBuilderOptions | null;
  /** The program that serves static sites: one file without imports. */
  readonly staticServer: string;
}

/** A whole platform in this process. */
export interface Embedded {
  readonly platform: Platform;
  readonly store: StateStore;
  readonly apiUrl: string;
  readonly routerUrl: string;
  /** Where the images are; null: in the data folder. */
  readonly registryUrl: string | null;
  /** Resolves when the platform has ended; rejects with what ended it unasked. */
  readonly ended: Promise<void>;
  /** Ends everything in order: router, API, loops, instances (unless they are to go on for the next start), store. Idempotent. */
  stop(options?: { readonly leaveInstances?: boolean }): Promise<void>;
}

/** Of the node, the server and the router. */
const NODE_ID = "local";
const STOP_GRACE_MS = 5_000;
const ROUTER_DRAIN_MS = 3_000;

/** Opens the data folder and starts every engine. What was started before a failure is ended again. */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  await assertFree("API", "--api", options.api);
  await assertFree("router", "--router", options.router);
  const undo = new Undo();
  try {
    return await start(options, undo);
  } catch (error) {
    await undo.run(options.logger);
    throw error;
  }
}

async function start(options: EmbeddedOptions, undo: Undo): Promise<Embedded> {
  const { logger, appsDomain, version } = options;
  const [clock, random, hasher] = [createSystemClock(), createSystemRandom(), createNodeHasher()];
  const folder = await prepareDataFolder(options.dataFolder);

  const store = createPgliteStateStore({ dataDir: folder.store });
  undo.push(() => store.close());
  await store.open();
  const images = await openImageRegistry({
    ...{ store, folder, clock, random, logger },
    wanted: options.registry,
    access: options.registryAccess,
  });
  undo.push(() => images.close());
  const { registry } = images;
  const clusterId = await settle(store, "cluster-id", newId(random, "dinp"));
  const kind = await settleRuntime(store, options.runtime);

  const archive = combineArchives(createTarArchive(), {
    zip: createZipReader({ dir: folder.uploads }),
    file: createSingleFileReader({ dir: folder.uploads }),
  });
  const node = await createNodeRuntime({
    ...{ kind, clusterId, registry, archive, clock, logger },
    address: "127.0.0.1",
    folder: folder.node,
    dockerSocket: options.dockerSocket,
    templates: options.templates,
    staticServer: options.staticServer,
  });
  const { runtime } = node;
  undo.push(() => runtime.close());
  const { dockerSocket } = options;
  await openNodeRuntime(node, { kind, dockerSocket, socketFlag: "--docker-host unix:///PATH" });
  let leavesInstances = false;
  undo.push(async () => {
    if (!leavesInstances) await node.stopAll({ graceMs: STOP_GRACE_MS });
  });

  const table = createMemoryRouteTable({ random });
  undo.push(() => table.close());
  const build = await openBuildSteps({
    ...{ clusterId, registry, archive, logger },
    wanted: options.buildSteps,
    dockerSocket: options.dockerSocket,
  });
  undo.push(async () => build?.close());
  const builder = createBuilder({
    ...(build === null ? {} : { steps: build.steps, workshop: build.workshop }),
    platform: imagePlatform,
    bases:
      kind === "docker"
        ? createBasesOnDemand({
            store,
            logger,
            platform: () => engines.platform,
            staticServer: options.staticServer,
          })
        : createBaseSource(store),
    registry,
    archive,
    hasher,
    clock,
    // Most apps say nothing in it.
    parseYaml: async (text) => (await import("@dinp/core/yaml")).parseYaml(text),
    templates: options.templates,
    ...(images.spool === null ? {} : { spool: images.spool }),
    ...(options.layerCompression === "gzip" ? { compressor: createGzipCompressor() } : {}),
  });
  let routerUrl = urlOf(options.router);
  const engines = await startPlatform({
    store,
    runtime,
    table,
    link: createInProcessControlLink(),
    prober: node.prober,
    builder,
    images: createImages({ registry, archive, platform: imagePlatform }),
    registries: createRegistryConnector({ clock, random }),
    secrets: createFileSecretBox({ keyFile: folder.secretsKey }),
    uploads: createUploadFetcher({ allow: options.allowUploadFrom }),
    state: createFileLocalState({ dir: folder.agent }),
    clock,
    random,
    hasher,
    logger,
    ports: { range: options.instancePorts, isFree: (port) => isPortFree(port) },
    appsDomain,
    routerUrl: () => routerUrl,
    clusterId,
    version,
    id: NODE_ID,
  });
  const { platform, follower } = engines;
  undo.push(engines.stop);
  const watching = new AbortController();
  const ended = Promise.race([engines.ended, watchStore(store, clock, watching.signal)]);
  // Whoever asks for the end hears of a failure; before anyone asks it must not end the process.
  ended.catch(() => undefined);
  undo.push(() => {
    watching.abort();
    return Promise.resolve();
  });
  const api = createHttpApi({ platform, listen: options.api, logger });
  undo.push(() => api.close());
  const router = await createRequestRouter({
    follower,
    routerId: NODE_ID,
    listen: options.router,
    clock,
    logger,
  });
  undo.push(() => router.close({ drainMs: ROUTER_DRAIN_MS }));
  routerUrl = urlOf(await router.start());
  const apiUrl = await api.start();
  const stop: Embedded["stop"] = ({ leaveInstances = false } = {}) => {
    leavesInstances = leaveInstances;
    return undo.run(logger);
  };
  return { platform, store, apiUrl, routerUrl, registryUrl: images.url, ended, stop };
}

/** Before anything is opened: the commonest mistake is a second platform on the same ports. */
async function assertFree(name: string, flag: string, at: HostPort): Promise<void> {
  if (at.port === 0 || (await isPortFree(at.port, at.host))) return;
  throw new DinpError(
    "DINP_PORT_TAKEN",
    `The ${name} cannot listen on ${at.host}:${String(at.port)}: the port is taken.`,
    {
      hint: `Is a platform already running? Else choose another with ${flag} HOST:PORT.`,
    },
  );
}
