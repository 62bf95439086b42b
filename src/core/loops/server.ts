import { DinpError } from "../model/errors.js";
import type { PlanPolicy } from "../plan/policy.js";
import type { ControlLink } from "../ports/control-link.js";
import type { RouteTable } from "../ports/route-table.js";
import type { LogLine } from "../ports/runtime.js";
import type { Lease, StateStore } from "../ports/state-store.js";
import type { Clock, Logger, Random } from "../ports/system.js";
import { AgentLink, type InstanceLogRequest } from "./agent-link.js";
import { lead } from "./leadership.js";
import { Reconciler } from "./reconciler.js";
import { RoutePublisher } from "./route-publisher.js";
import { StateFollower } from "./state-follower.js";
import { repeatUntilAborted, runTogether, sleepQuietly } from "./tasks.js";

export interface ServerOptions {
  readonly store: StateStore;
  readonly table: RouteTable;
  readonly link: ControlLink;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly policy: PlanPolicy;
  /** Apps answer at `NAME.<appsDomain>`. */
  readonly appsDomain: string;
  /** Who this server is; two that may run at the same time must not share it. */
  readonly holder: string;
  readonly leaseTtlMs?: number;
  /** Called every minute while leading: deletes what is beyond its bounds. */
  readonly tidy?: (options: { readonly signal: AbortSignal }) => Promise<void>;
}

const TIDY_EVERY_MS = 60_000;

const LEASE = "leader";

/** The control plane's loops: follow the state, and while leading, reconcile, publish routes and serve the agents. */
export class Server {
  readonly #options: ServerOptions;
  readonly #follower: StateFollower;
  #agents: AgentLink | null = null;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.#follower = new StateFollower(options);
  }

  /** The followed view of the state; read-only. */
  get follower(): StateFollower {
    return this.#follower;
  }

  /** Works until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { store, clock, logger, holder, leaseTtlMs = 10_000 } = this.#options;
    const leadership = { store, clock, logger, name: LEASE, holder, ttlMs: leaseTtlMs };
    await runTogether(
      [
        (inner) => this.#follower.run(inner),
        (inner) => lead(leadership, inner, (lease, leading) => this.#work(lease, leading)),
      ],
      signal,
    );
  }

  /** An instance's log, from its node. `DINP_UNAVAILABLE` when this server does not lead or the node is away. */
  logs(request: InstanceLogRequest): AsyncIterable<LogLine> {
    if (this.#agents !== null) return this.#agents.logs(request);
    throw new DinpError("DINP_UNAVAILABLE", "This server is not connected to the nodes yet.", {
      retryable: true,
    });
  }

  async #work(lease: Lease, signal: AbortSignal): Promise<void> {
    const { store, table, link, clock, random, logger, policy, appsDomain } = this.#options;
    const follower = this.#follower;
    const silentAfterMs = policy.lostAfterMs;
    const wake = (): void => {
      reconciler.wake();
    };
    const agents = new AgentLink({
      store,
      follower,
      link,
      clock,
      logger,
      lease,
      silentAfterMs,
      onSeen: wake,
    });
    const routes = new RoutePublisher({
      follower,
      table,
      clock,
      logger,
      appsDomain,
      epoch: lease.epoch,
      onProgress: wake,
    });
    const reconciler = new Reconciler({
      store,
      follower,
      clock,
      random,
      logger,
      policy,
      lease,
      facts: () => ({
        nodeSeenAt: agents.nodeSeenAt,
        isDrained: routes.isDrained,
        isUnrouted: routes.isUnrouted,
      }),
    });
    // Older leaders can commit no more: from here on no placement is unknown, and none is seen as it was before.
    await follower.catchUp(signal);
    this.#agents = agents;
    try {
      await runTogether(
        [
          (inner) => agents.run(inner),
          (inner) => routes.run(inner),
          (inner) => reconciler.run(inner),
          (inner) => this.#keepTidy(inner),
        ],
        signal,
      );
    } finally {
      if (this.#agents === agents) this.#agents = null;
    }
  }

  async #keepTidy(signal: AbortSignal): Promise<void> {
    const { clock, logger, tidy } = this.#options;
    const step = async (inner: AbortSignal): Promise<void> => {
      await sleepQuietly(clock, TIDY_EVERY_MS, inner);
      if (!inner.aborted) await tidy?.({ signal: inner });
    };
    await repeatUntilAborted("tidying", step, { clock, logger, signal });
  }
}
