import "reflect-metadata";
import { instanceCachingFactory, type DependencyContainer } from "tsyringe";
import type { Clock, Logger, Metrics, Random, RouteCache, RouteFollower, RouteTable } from "@dinp/core";

/** What a part of a program is asked for by; `T` is what comes of it. */
export type Token<T> = symbol & { readonly part?: T };

function token<T>(name: string): Token<T> {
  return Symbol(`dinp.${name}`);
}

/** The parts that programs are composed of: register another factory for one, and the rest works with that. */
export const tokens = {
  clock: token<Clock>("clock"),
  random: token<Random>("random"),
  logger: token<Logger>("logger"),
  metrics: token<Metrics>("metrics"),
  routeTable: token<RouteTable>("routeTable"),
  /** A router's last good table; null: it is kept nowhere. */
  routeCache: token<RouteCache | null>("routeCache"),
  /** A router's name among all routers. */
  routerId: token<string>("routerId"),
  routeFollower: token<RouteFollower>("routeFollower"),
} as const;

/** Says how a part is made: once, when it is first asked for. What was said before for the same part is replaced. */
export function provide<T>(
  container: DependencyContainer,
  part: Token<T>,
  make: (container: DependencyContainer) => T,
): void {
  container.register<T>(part, { useFactory: instanceCachingFactory(make) });
}

/** Says how a part is made unless that was said. */
export function provideDefault<T>(
  container: DependencyContainer,
  part: Token<T>,
  make: (container: DependencyContainer) => T,
): void {
  if (!container.isRegistered(part, true)) provide(container, part, make);
}

/** The part. `TypeError` when nobody said how it is made. */
export function part<T>(container: DependencyContainer, wanted: Token<T>): T {
  if (!container.isRegistered(wanted, true)) {
    throw new TypeError(`Nothing is registered for ${wanted.description ?? "this token"}.`);
  }
  return container.resolve<T>(wanted);
}
