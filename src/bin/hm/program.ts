import "reflect-metadata";
import { container as root } from "tsyringe";
import { defaultMonitorPolicy, newId, type MonitorPolicy } from "@dinp/core";
import { createHttpProber } from "@dinp/core/http";
import { createSystemClock, createSystemRandom } from "@dinp/core/system";
import { hostname } from "node:os";
import { openStore } from "../cluster/open-store.js";
import { settleCluster } from "../cluster/settle-cluster.js";
import { shownStore, stateStoreOf } from "../cluster/state-store.js";
import { part, provide, registerMonitor, tokens } from "../compose/index.js";
import { hmSection } from "../config/hm-section.js";
import { ConfigError } from "../config/load-config.js";
import type { Settings, ValuesOf } from "../config/setting.js";
import { clusterSection, storeSection } from "../config/shared-sections.js";
import type { Program, ProgramContext } from "../service/run-program.js";
import { measureMonitor, measureProbes } from "./metrics.js";

const settings = {
  hm: hmSection,
  cluster: clusterSection,
  store: storeSection,
} as const satisfies Settings;

type Config = ValuesOf<typeof settings>;

/** The program `dinp-hm`. */
export const hmProgram: Program<typeof settings> = {
  name: "dinp-hm",
  ownSection: "hm",
  settings,
  about: `Probes every ready instance from where it runs, as routers and users see it, and takes those that do not answer there off
their routes: at most half of an app's, and none while most of its probes fail at once. It stops and starts nothing, and what
it withdrew comes back within --lease when it dies. Several may run, each with an --id of its own.

Exit codes: 0 stopped by a signal, 1 failed, 2 wrong usage.`,
  check: async ({ hm, store }) => {
    policyOf(hm);
    await stateStoreOf(store);
    return [`the monitor is ${idOf(hm)}, over ${shownStore(store)}`];
  },
  run,
};

async function run({ hm, store: storeConfig, cluster }: Config, context: ProgramContext): Promise<void> {
  const { logger, metrics, observer, interrupt, undo, say } = context;
  const container = root.createChildContainer();
  const [clock, random] = [createSystemClock(), createSystemRandom()];
  provide(container, tokens.clock, () => clock);
  provide(container, tokens.random, () => random);
  provide(container, tokens.logger, () => logger);
  const store = await stateStoreOf(storeConfig);
  provide(container, tokens.stateStore, () => store);
  provide(container, tokens.prober, () => createHttpProber({ maxConcurrent: hm.concurrency }));
  provide(container, tokens.monitorPolicy, () => policyOf(hm));
  provide(container, tokens.monitorFacts, () => ({
    monitorId: idOf(hm),
    holder: newId(random, idOf(hm)),
    ...{ concurrency: hm.concurrency, leaseTtlMs: hm.lease, onProbe: measureProbes(metrics) },
  }));
  registerMonitor(container);
  const monitor = part(container, tokens.healthMonitor);
  measureMonitor(metrics, () => monitor.state());
  observer.check("state", () => (monitor.state().isFollowing ? null : "the database is not followed"));

  undo.push(() => store.close());
  try {
    await openStore(store, { clock, logger, signal: interrupt.signal });
    await settleCluster(store, cluster.id);
  } catch (error) {
    if (interrupt.signal.aborted) return;
    throw error;
  }
  say(`dinp-hm ${idOf(hm)} monitors the instances of ${cluster.id}, by ${shownStore(storeConfig)}`);
  await monitor.run(interrupt.signal);
}

function policyOf({ intervalMin, intervalMax, failures, successes, calm }: Config["hm"]): MonitorPolicy {
  if (intervalMin > intervalMax)
    throw new ConfigError([
      `hm.intervalMin (${String(intervalMin)} ms) is above hm.intervalMax (${String(intervalMax)} ms): give one that is not`,
    ]);
  return {
    ...defaultMonitorPolicy,
    ...{ failureThreshold: failures, successThreshold: successes, calmMs: calm },
    ...{ intervalMinMs: intervalMin, intervalMaxMs: intervalMax },
  };
}

/** The same at every start: what was withdrawn by the run before is found by it. */
function idOf({ id }: Config["hm"]): string {
  return (
    id ??
    (hostname()
      .replace(/[^A-Za-z0-9._-]/g, "-")
      .replace(/^[^A-Za-z0-9]+/, "")
      .slice(0, 64) ||
      "hm")
  );
}
