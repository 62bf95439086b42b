import { createRouterRegistrar, type Clock, type RouteFollower } from "@dinp/core";
import { createFileLocalState } from "@dinp/core/system";
import type { routerSection } from "../config/sections.js";
import type { ValuesOf } from "../config/setting.js";
import type { ProgramContext } from "../service/run-program.js";
import { registeringAt } from "./registering.js";

export interface RegistrationOptions {
  readonly router: ValuesOf<{ readonly router: typeof routerSection }>["router"];
  readonly dataDir: string;
  readonly clusterId: string;
  readonly routerId: string;
  readonly follower: RouteFollower;
  readonly clock: Clock;
}

/** A registration that is kept up. */
export interface Registration {
  /** Resolves when the router may serve what it reads from then on; `DINP_ABORTED` when the signal aborts first. */
  readonly whenRegistered: (signal: AbortSignal) => Promise<void>;
  /** Never resolves before it is told to end; rejects when the router cannot be registered. */
  readonly ended: Promise<void>;
}

/** Begins to register a router, and keeps it registered until the program ends. */
export async function startRegistration(
  { router, dataDir, clusterId, routerId, follower, clock }: RegistrationOptions,
  { logger, metrics, undo }: ProgramContext,
): Promise<Registration> {
  const registrar = createRouterRegistrar({
    ...{ routerId, clusterId, clock, logger, trustMs: router.trustRegistration },
    register: await registeringAt(router, { routerId, clusterId }),
    state: createFileLocalState({ dir: dataDir }),
    onUnwaited: () => follower.distrust(),
  });
  metrics.gauge(
    {
      name: "dinp_router_registration_confirmed",
      help: "1 while the platform confirms that this router is registered",
    },
    () => (registrar.problem() === null ? 1 : 0),
  );
  const stopping = new AbortController();
  const ended = registrar.run(stopping.signal);
  ended.catch(() => undefined);
  undo.push(async () => {
    stopping.abort();
    await ended.catch(() => undefined);
  });
  return { whenRegistered: (signal) => registrar.whenRegistered(signal), ended };
}
