import type { DependencyContainer } from "tsyringe";
import { createNodeGate, defaultPlanPolicy, Server } from "@dinp/core";
import { registerPlatform } from "./platform-module.js";
import { part, provideDefault, tokens } from "./tokens.js";

/**
 * The parts of a server that were not registered before. To be registered: `serverFacts`, `routeTable`, `controlLinkServer`,
 * and what {@link registerPlatform} asks for.
 */
export function registerServer(container: DependencyContainer): void {
  provideDefault(container, tokens.planPolicy, () => defaultPlanPolicy);
  provideDefault(container, tokens.nodeGate, (from) =>
    createNodeGate({
      store: part(from, tokens.stateStore),
      clock: part(from, tokens.clock),
      random: part(from, tokens.random),
      hasher: part(from, tokens.hasher),
    }),
  );
  provideDefault(
    container,
    tokens.server,
    (from) =>
      new Server({
        ...part(from, tokens.serverFacts),
        store: part(from, tokens.stateStore),
        table: part(from, tokens.routeTable),
        link: part(from, tokens.controlLinkServer),
        clock: part(from, tokens.clock),
        random: part(from, tokens.random),
        logger: part(from, tokens.logger),
        secrets: part(from, tokens.secretBox),
        policy: part(from, tokens.planPolicy),
        appsDomain: part(from, tokens.cluster).appsDomain,
        tidy: (options) => part(from, tokens.platform).tidy(options),
      }),
  );
  registerPlatform(container);
}
