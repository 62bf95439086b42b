import type { DependencyContainer } from "tsyringe";
import { Agent, InstancePorts } from "@dinp/core";
import { createSystemClock, createSystemRandom, isPortFree } from "@dinp/core/system";
import { part, provideDefault, tokens } from "./tokens.js";

/**
 * The parts of an agent that were not registered before. To be registered: `nodeFacts`, `runtime`, `prober`, `localState`,
 * `controlLinkClient`, `logger`.
 */
export function registerAgent(container: DependencyContainer): void {
  provideDefault(container, tokens.clock, () => createSystemClock());
  provideDefault(container, tokens.random, () => createSystemRandom());
  provideDefault(
    container,
    tokens.instancePorts,
    (from) =>
      new InstancePorts({
        range: part(from, tokens.nodeFacts).ports,
        state: part(from, tokens.localState),
        random: part(from, tokens.random),
        isFree: (port) => isPortFree(port),
      }),
  );
  provideDefault(container, tokens.agent, (from) => {
    const { nodeId, address, labels, onFenced } = part(from, tokens.nodeFacts);
    return new Agent({
      ...{ nodeId, address, labels },
      ...(onFenced === undefined ? {} : { onFenced }),
      runtime: part(from, tokens.runtime),
      prober: part(from, tokens.prober),
      link: part(from, tokens.controlLinkClient),
      ports: part(from, tokens.instancePorts),
      state: part(from, tokens.localState),
      clock: part(from, tokens.clock),
      random: part(from, tokens.random),
      logger: part(from, tokens.logger),
    });
  });
}
