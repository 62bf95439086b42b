import type { DependencyContainer } from "tsyringe";
import { createRouteFollower } from "@dinp/core";
import { createSystemClock, createSystemRandom } from "@dinp/core/system";
import { part, provideDefault, tokens } from "./tokens.js";

/**
 * The parts of a router that were not registered before. To be registered: `routeTable`, `routerId`, `logger`; and
 * `routeCache`, unless there is none.
 */
export function registerRouter(container: DependencyContainer): void {
  provideDefault(container, tokens.clock, () => createSystemClock());
  provideDefault(container, tokens.random, () => createSystemRandom());
  provideDefault(container, tokens.routeCache, () => null);
  provideDefault(container, tokens.routeFollower, (from) => {
    const cache = part(from, tokens.routeCache);
    return createRouteFollower({
      table: part(from, tokens.routeTable),
      routerId: part(from, tokens.routerId),
      clock: part(from, tokens.clock),
      logger: part(from, tokens.logger),
      ...(cache === null ? {} : { cache }),
    });
  });
}
