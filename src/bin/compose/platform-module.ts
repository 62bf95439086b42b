import type { DependencyContainer } from "tsyringe";
import { createBaseSource, createBuilder, createImages, createPlatform } from "@dinp/core";
import { createNodeHasher, createSystemClock, createSystemRandom } from "@dinp/core/system";
import { part, provideDefault, tokens } from "./tokens.js";

/**
 * The parts of what users may ask for that were not registered before: `platform` and what it works with. To be registered:
 * `cluster`, `logger`, `stateStore`, `registry`, `archive`, `secretBox`, `registryConnector`, `uploadFetcher`. With a `server`
 * it also answers what only a leading one knows.
 */
export function registerPlatform(container: DependencyContainer): void {
  provideDefault(container, tokens.clock, () => createSystemClock());
  provideDefault(container, tokens.random, () => createSystemRandom());
  provideDefault(container, tokens.hasher, () => createNodeHasher());
  provideDefault(container, tokens.images, (from) =>
    createImages({ registry: part(from, tokens.registry), archive: part(from, tokens.archive) }),
  );
  provideDefault(container, tokens.builder, (from) =>
    createBuilder({
      bases: createBaseSource(part(from, tokens.stateStore)),
      registry: part(from, tokens.registry),
      archive: part(from, tokens.archive),
      hasher: part(from, tokens.hasher),
      clock: part(from, tokens.clock),
      // Most apps say nothing in it.
      parseYaml: async (text) => (await import("@dinp/core/yaml")).parseYaml(text),
    }),
  );
  provideDefault(container, tokens.platform, (from) => {
    const { id: clusterId, appsDomain, routerUrl, version } = part(from, tokens.cluster);
    // The server keeps the platform tidy, and the platform asks the server: neither is made before it is asked for.
    const server = () => part(from, tokens.server);
    return createPlatform({
      store: part(from, tokens.stateStore),
      clock: part(from, tokens.clock),
      random: part(from, tokens.random),
      hasher: part(from, tokens.hasher),
      builder: part(from, tokens.builder),
      images: part(from, tokens.images),
      uploads: part(from, tokens.uploadFetcher),
      registries: part(from, tokens.registryConnector),
      secrets: part(from, tokens.secretBox),
      logger: part(from, tokens.logger),
      info: () => ({ version, clusterId, appsDomain, routerUrl }),
      logs: { logs: (request) => server().instanceLogs(request) },
      ...(from.isRegistered(tokens.server, true) ? { cluster: server } : {}),
    });
  });
}
