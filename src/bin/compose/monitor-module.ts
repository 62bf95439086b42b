import type { DependencyContainer } from "tsyringe";
import { defaultMonitorPolicy, HealthMonitor } from "@dinp/core";
import { part, provideDefault, tokens } from "./tokens.js";

/**
 * The parts of an outside health monitor that were not registered before. To be registered: `monitorFacts`, `stateStore`,
 * `prober`, `clock`, `random`, `logger`.
 */
export function registerMonitor(container: DependencyContainer): void {
  provideDefault(container, tokens.monitorPolicy, () => defaultMonitorPolicy);
  provideDefault(
    container,
    tokens.healthMonitor,
    (from) =>
      new HealthMonitor({
        ...part(from, tokens.monitorFacts),
        store: part(from, tokens.stateStore),
        prober: part(from, tokens.prober),
        clock: part(from, tokens.clock),
        random: part(from, tokens.random),
        logger: part(from, tokens.logger),
        policy: part(from, tokens.monitorPolicy),
      }),
  );
}
