import "reflect-metadata";
import { mkdir } from "node:fs/promises";
import { resolve } from "node:path";
import { container as root } from "tsyringe";
import { createHttpApi } from "@dinp/core/http-api";
import { createSystemClock, createSystemRandom } from "@dinp/core/system";
import { imageRegistryOf } from "../cluster/image-registry.js";
import { watchCertificate } from "../cluster/certificate-doubts.js";
import { listenerTls } from "../cluster/listener-tls.js";
import { platformFolders, providePlatformParts } from "../cluster/platform-parts.js";
import { stateStoreOf } from "../cluster/state-store.js";
import { part, provide, registerPlatform, tokens } from "../compose/index.js";
import { builderSection } from "../config/builder-section.js";
import { buildSection, secretsSection } from "../config/server-section.js";
import { isEveryAddress, type Settings, type ValuesOf } from "../config/setting.js";
import { clusterSection, registrySection, storeSection } from "../config/shared-sections.js";
import { readTemplates } from "../host/templates.js";
import type { Program, ProgramContext } from "../service/run-program.js";

const settings = {
  builder: builderSection,
  cluster: clusterSection,
  store: storeSection,
  registry: registrySection,
  build: buildSection,
  secrets: secretsSection,
} as const satisfies Settings;

type Config = ValuesOf<typeof settings>;

/** The program `dinp-builder`. */
export const builderProgram: Program<typeof settings> = {
  name: "dinp-builder",
  ownSection: "builder",
  settings,
  about: `Makes images of what users push, on a machine of its own: uploads and what builds run then cost the servers nothing. Servers
pass builds on to it (server.builderUrl); users' tokens are checked here as well, and nothing else is answered.

SIGTERM and SIGINT: builds that are under way may end within a few seconds; others fail, and are pushed again. Exit codes:
0 stopped by a signal, 1 failed, 2 wrong usage.`,
  check: async (config) => {
    await listenerTls("builder", config.builder);
    await readTemplates(config.build.templatesFile);
    await (await stateStoreOf(config.store)).close();
    const parts = { clock: createSystemClock(), random: createSystemRandom() };
    await (await imageRegistryOf(config.registry, parts)).close();
    return [];
  },
  run,
};

async function run(config: Config, context: ProgramContext): Promise<void> {
  const { logger, metrics, observer, interrupt, undo, say, version } = context;
  const { builder: own, cluster } = config;
  const tls = await listenerTls("builder", own);
  const container = root.createChildContainer();
  provide(container, tokens.logger, () => logger);
  registerPlatform(container);
  provide(container, tokens.cluster, () => ({ ...cluster, routerUrl: "", version }));
  const dataDir = resolve(own.dataDir);
  const folders = platformFolders(dataDir, config);
  await mkdir(folders.uploads, { recursive: true, mode: 0o700 });
  await providePlatformParts(container, { config, folders, logger, interrupt, undo });
  const api = createHttpApi({
    ...{ logger, scope: "builds", listen: own.listen },
    platform: part(container, tokens.platform),
    ...(tls === null ? {} : { tls }),
  });
  const listens = await api.start();
  if (tls !== null) {
    const options = { logger, metrics, section: "builder", now: createSystemClock().now() };
    watchCertificate({ cert: tls.cert, urls: isEveryAddress(own.listen) ? [] : [listens] }, options);
  }
  say(`dinp-builder takes builds at ${listens}`);
  undo.push(() => api.close());
  await interrupt.stopped();
  observer.end();
}
