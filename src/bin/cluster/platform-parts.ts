import type { DependencyContainer } from "tsyringe";
import { join } from "node:path";
import {
  combineArchives,
  createBaseSource,
  createBuilder,
  createImages,
  parseUploadPlace,
  type Logger,
} from "@dinp/core";
import { createGzipCompressor } from "@dinp/core/gzip";
import { createFileSecretBox, createFileSpool } from "@dinp/core/system";
import { createTarArchive } from "@dinp/core/tar";
import { createUploadFetcher } from "@dinp/core/url-fetch";
import { createSingleFileReader, createZipReader } from "@dinp/core/zip";
import { part, provide, tokens } from "../compose/index.js";
import { ConfigError } from "../config/load-config.js";
import type { buildSection, secretsSection } from "../config/server-section.js";
import type { ValuesOf } from "../config/setting.js";
import type { clusterSection } from "../config/shared-sections.js";
import { type registrySection, type storeSection } from "../config/shared-sections.js";
import { openBuildSteps } from "../host/build-steps.js";
import { imagePlatform } from "../host/image-platform.js";
import { createRegistryConnector } from "../host/other-registries.js";
import { readTemplates } from "../host/templates.js";
import type { Interrupt } from "../service/interrupt.js";
import type { Undo } from "../service/undo.js";
import { imageRegistryOf } from "./image-registry.js";
import { openStore } from "./open-store.js";
import { settleCluster } from "./settle-cluster.js";
import { stateStoreOf } from "./state-store.js";

export type PlatformConfig = ValuesOf<{
  readonly cluster: typeof clusterSection;
  readonly store: typeof storeSection;
  readonly registry: typeof registrySection;
  readonly build: typeof buildSection;
  readonly secrets: typeof secretsSection;
}>;

/** Where a program that serves users keeps what it must. */
export interface PlatformFolders {
  /** Uploads while they are read, in files without names. */
  readonly uploads: string;
  /** The file of the keys that stored secrets are sealed with. */
  readonly secretsKey: string;
}

export interface PlatformParts {
  readonly config: PlatformConfig;
  readonly folders: PlatformFolders;
  readonly logger: Logger;
  readonly interrupt: Interrupt;
  readonly undo: Undo;
  /** Of a program that may lead. */
  readonly leaseTtlMs?: number;
}

/**
 * Opens the database that the configuration names, and registers all that a platform needs of the outside; `undo` closes it
 * again. {@link ConfigError}, `DINP_INVALID`; `DINP_ABORTED` when the program is told to end meanwhile.
 */
export async function providePlatformParts(
  container: DependencyContainer,
  { config, folders, logger, interrupt, undo, leaseTtlMs }: PlatformParts,
): Promise<void> {
  const [clock, random] = [part(container, tokens.clock), part(container, tokens.random)];
  const templates = await readTemplates(config.build.templatesFile);
  const spool = createFileSpool({ dir: folders.uploads });
  const registry = await imageRegistryOf(config.registry, { clock, random, spool });
  undo.push(() => registry.close());
  const store = await stateStoreOf(config.store, leaseTtlMs);
  undo.push(() => store.close());
  await openStore(store, { clock, logger, signal: interrupt.signal });
  await settleCluster(store, config.cluster.id);

  const archive = combineArchives(createTarArchive(), {
    zip: createZipReader({ dir: folders.uploads }),
    file: createSingleFileReader({ dir: folders.uploads }),
  });
  const { dockerSocket, network, pipIndex, compression } = config.build;
  const build = await openBuildSteps({
    ...{ registry, archive, logger, clusterId: config.cluster.id },
    wanted: dockerSocket === null ? null : { network, pipIndexUrl: pipIndex },
    dockerSocket: dockerSocket ?? "",
  });
  undo.push(async () => build?.close());
  provide(container, tokens.stateStore, () => store);
  provide(container, tokens.registry, () => registry);
  provide(container, tokens.archive, () => archive);
  provide(container, tokens.secretBox, () =>
    createFileSecretBox({ keyFile: folders.secretsKey, make: config.secrets.keyFile === null }),
  );
  provide(container, tokens.registryConnector, () => createRegistryConnector({ clock, random }));
  provide(container, tokens.uploadFetcher, () =>
    createUploadFetcher({ allow: config.build.allowUploadFrom.map(placeOf) }),
  );
  provide(container, tokens.images, () => createImages({ registry, archive, platform: imagePlatform }));
  provide(container, tokens.builder, (from) =>
    createBuilder({
      ...(build === null ? {} : { steps: build.steps, workshop: build.workshop }),
      ...(compression === "gzip" ? { compressor: createGzipCompressor() } : {}),
      ...{ registry, archive, clock, templates, spool, platform: imagePlatform },
      hasher: part(from, tokens.hasher),
      bases: createBaseSource(store),
      // Most apps say nothing in it.
      parseYaml: async (text) => (await import("@dinp/core/yaml")).parseYaml(text),
    }),
  );
}

/** Of the configuration of a program with a folder of its own. */
export function platformFolders(dataDir: string, { secrets }: PlatformConfig): PlatformFolders {
  return { uploads: join(dataDir, "uploads"), secretsKey: secrets.keyFile ?? join(dataDir, "secrets.key") };
}

function placeOf(text: string): ReturnType<typeof parseUploadPlace> {
  try {
    return parseUploadPlace(text);
  } catch (error) {
    throw new ConfigError([
      `build.allowUploadFrom: ${error instanceof Error ? error.message : String(error)}`,
    ]);
  }
}
