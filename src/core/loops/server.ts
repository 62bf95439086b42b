import { DinpError } from "../model/errors.js";
import type { AppId, InstanceId, NodeId, Release } from "../model/records.js";
import type { OneOff } from "../plan/one-off.js";
import { overlayView, type PlanHypothesis } from "../plan/overlay-view.js";
import { nextStartAt, type PlanPolicy } from "../plan/policy.js";
import type {
  ClusterSource,
  NodeExecRequest,
  NodeLink,
  RouterProgress,
  RoutingState,
} from "../platform/cluster-source.js";
import type { PlanView } from "../platform/plan-views.js";
import { openSecrets } from "../platform/secrets.js";
import { noSecrets } from "../platform/without.js";
import type { AgentRunRequest, ControlLinkServer } from "../ports/control-link.js";
import type { RouteTable } from "../ports/route-table.js";
import type { ExecEvent, LogLine } from "../ports/runtime.js";
import type { Lease, StateStore } from "../ports/state-store.js";
import type { Clock, Logger, Random, SecretBox } from "../ports/system.js";
import { childController, ended } from "./abort.js";
import { AddressClash } from "./address-clash.js";
import { AgentLink, type InstanceLogRequest } from "./agent-link.js";
import { type FencedPlace, tellingStore } from "./fenced.js";
import { announceLeader, LeaderWatch, type ServerAddress } from "./leader-address.js";
import { lead } from "./leadership.js";
import { planView } from "./plan-view.js";
import { Reconciler } from "./reconciler.js";
import { RoutePublisher } from "./route-publisher.js";
import { StateFollower } from "./state-follower.js";
import { StrayRouters } from "./stray-routers.js";
import { repeatUntilAborted, runTogether, sleepQuietly } from "./tasks.js";
import { WithdrawalKeeper } from "./withdrawal-keeper.js";

export interface ServerOptions {
  readonly store: StateStore;
  readonly table: RouteTable;
  readonly link: ControlLinkServer;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly policy: PlanPolicy;
  /** Apps answer at `NAME.<appsDomain>`. */
  readonly appsDomain: string;
  /** Who this server is; two that may run at the same time must not share it. */
  readonly holder: string;
  /** Opens the secrets of releases that are started here. Default: none, and such releases do not start. */
  readonly secrets?: SecretBox;
  readonly leaseTtlMs?: number;
  /** Where this server answers: asked when it begins to lead, and others are told. Default: there are no others. */
  readonly announced?: () => ServerAddress;
  /** Told of each write of this server that was refused with `DINP_FENCED`, because another one leads. */
  readonly onFenced?: (place: FencedPlace) => void;
  /** Called every minute while leading: deletes what is beyond its bounds. */
  readonly tidy?: (options: { readonly signal: AbortSignal }) => Promise<void>;
}

/** The loops of a server while it leads. */
interface Leading {
  readonly agents: AgentLink;
  readonly routes: RoutePublisher;
  readonly reconciler: Reconciler;
}

const TIDY_EVERY_MS = 60_000;
const LEASE_TTL_MS = 10_000;

const LEASE = "leader";

/** The control plane's loops: follow the state, and while leading, reconcile, publish routes and serve the agents. */
export class Server implements ClusterSource {
  readonly #options: ServerOptions;
  readonly #follower: StateFollower;
  readonly #leader: LeaderWatch;
  readonly #clash: AddressClash | null;
  #leading: Leading | null = null;
  readonly #oneOffs = new Map<string, OneOff>();

  constructor(options: ServerOptions) {
    this.#options = options;
    this.#follower = new StateFollower(options);
    this.#leader = new LeaderWatch(options);
    const { clock, logger, holder, leaseTtlMs = LEASE_TTL_MS, announced: own } = options;
    const leader = (): LeaderWatch["address"] => this.#leader.address;
    this.#clash =
      own === undefined ? null : new AddressClash({ clock, logger, leaseTtlMs, holder, own, leader });
  }

  /** The followed view of the state; read-only. */
  get follower(): StateFollower {
    return this.#follower;
  }

  /** Whether this server serves the agents and decides now. */
  get leads(): boolean {
    return this.#leading !== null;
  }

  /** Where the leading server answers, if it is another one; null: this one leads, or nobody that is known. */
  otherLeader(): ServerAddress | null {
    const { address } = this.#leader;
    const isOwn = address?.apiUrl === this.#options.announced?.().apiUrl;
    return this.leads || isOwn ? null : address;
  }

  /** An address of this server that the leading one says is its own; null: none that is known. */
  get sharedAddress(): string | null {
    return this.#clash?.address ?? null;
  }

  /** Works until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { store, clock, logger, holder, announced, leaseTtlMs = LEASE_TTL_MS } = this.#options;
    const onHeldByAnother = (): void => this.#clash?.noteHeld();
    const leadership = { store, clock, logger, name: LEASE, holder, ttlMs: leaseTtlMs, onHeldByAnother };
    await runTogether(
      [
        (inner) => this.#follower.run(inner),
        ...(announced === undefined ? [] : [(inner: AbortSignal) => this.#leader.run(inner)]),
        (inner) => lead(leadership, inner, (lease, leading) => this.#work(lease, leading)),
      ],
      signal,
    );
  }

  /** An instance's log, from its node. `DINP_UNAVAILABLE` when this server does not lead or the node is away. */
  logs(request: InstanceLogRequest): AsyncIterable<LogLine> {
    return this.#lead().agents.logs(request);
  }

  /** As {@link Server.logs}, from the node that has the instance. `DINP_NOT_FOUND` when none has. */
  instanceLogs(request: Omit<InstanceLogRequest, "nodeId">): AsyncIterable<LogLine> {
    const { instanceId } = request;
    const { view } = this.#follower;
    const record = view.get("placement", instanceId) ?? view.get("instanceStatus", instanceId);
    if (record !== undefined) return this.logs({ ...request, nodeId: record.nodeId });
    throw new DinpError("DINP_NOT_FOUND", `No node has the instance ${instanceId}.`);
  }

  /** A command beside an instance. Errors as those of {@link Server.logs}, and `Runtime.exec`'s. */
  async *exec({ nodeId, ...request }: NodeExecRequest): AsyncGenerator<ExecEvent, void, undefined> {
    const session = this.#lead().agents.session(nodeId);
    const { view } = this.#follower;
    const release = view.get("release", view.get("placement", request.instanceId)?.releaseId ?? "");
    yield* session.exec({ ...request, ...(await this.#secretsOf(release, request.signal)) });
  }

  /**
   * A one-off on the node that has most room for it. `DINP_BUSY` when none has (its message says how much is missing);
   * otherwise as {@link Server.exec}.
   */
  async *runOnce(request: AgentRunRequest): AsyncGenerator<ExecEvent, void, undefined> {
    const { agents, reconciler } = this.#lead();
    const { release, runId } = request;
    const fit = reconciler.fitOneOff(release, this.#oneOffs.values());
    if (fit.node === null) {
      const code = fit.code === "no-capacity" ? "DINP_BUSY" : "DINP_UNAVAILABLE";
      throw new DinpError(code, `The one-off cannot run now: ${fit.why}.`, {
        retryable: true,
        hint: "Wait until something has ended, scale down, or give the app less memory.",
      });
    }
    this.#oneOffs.set(runId, { nodeId: fit.node.id, release });
    try {
      const secrets = await this.#secretsOf(release, request.signal);
      yield* agents.session(fit.node.id).run({ ...request, ...secrets });
    } finally {
      this.#oneOffs.delete(runId);
    }
  }

  async #secretsOf(
    release: Release | undefined,
    signal: AbortSignal,
  ): Promise<Pick<AgentRunRequest, "secrets">> {
    if (release?.secrets === undefined) return {};
    const { store, secrets = noSecrets } = this.#options;
    return { secrets: await openSecrets({ store, secrets }, release, { signal }) };
  }

  /** What this leader would do now, or would if the hypothesis were committed. Writes nothing. */
  plan(hypothesis: PlanHypothesis | null): PlanView {
    const { reconciler } = this.#lead();
    const { view, fresh } = this.#follower;
    const seen = hypothesis === null ? view : overlayView(view, hypothesis);
    return planView(reconciler.present(seen), seen, this.#options.clock.now(), fresh);
  }

  /** When the app's next instance may be started after its last failure; null when nothing waits for that. */
  nextStartAt(appId: AppId): number | null {
    const { view } = this.#follower;
    const release = view.get("app", appId)?.currentRelease ?? "";
    const crash = view.get("crash", release);
    return crash === undefined ? null : nextStartAt(crash, this.#options.clock.now(), this.#options.policy);
  }

  /** How far the routers are with an instance; null when this server does not lead. */
  routing(instanceId: InstanceId): RoutingState | null {
    const routes = this.#leading?.routes;
    if (routes === undefined) return null;
    if (routes.isRouted(instanceId)) return "routed";
    return routes.isUnrouted(instanceId) ? "unrouted" : "leaving";
  }

  /** How this leader stands with a node; null when this server does not lead. */
  nodeLink(nodeId: NodeId): NodeLink | null {
    const agents = this.#leading?.agents;
    if (agents === undefined) return null;
    return { connected: agents.isConnected(nodeId), seenAt: agents.nodeSeenAt.get(nodeId) ?? null };
  }

  /** How far a router is; null when this server does not lead, or has not heard the routers yet. */
  routerProgress(routerId: string): RouterProgress | null {
    return this.#leading?.routes.progressOf(routerId) ?? null;
  }

  #lead(): Leading {
    if (this.#leading !== null) return this.#leading;
    throw new DinpError("DINP_UNAVAILABLE", "This server is not connected to the nodes yet.", {
      retryable: true,
      details: { leads: false },
    });
  }

  async #work(lease: Lease, signal: AbortSignal): Promise<void> {
    const { table, link, clock, random, logger, policy, appsDomain } = this.#options;
    const { secrets = noSecrets } = this.#options;
    const follower = this.#follower;
    this.#clash?.noteLed();
    const store = this.#leadersStore();
    const silentAfterMs = policy.lostAfterMs;
    const agents = new AgentLink({
      store,
      follower,
      link,
      clock,
      random,
      logger,
      lease,
      secrets,
      silentAfterMs,
      onSeen: () => {
        reconciler.noteHeard();
      },
    });
    const routes = new RoutePublisher({
      follower,
      table,
      clock,
      logger,
      appsDomain,
      epoch: lease.epoch,
      onFenced: () => this.#options.onFenced?.("table"),
      onProgress: () => {
        reconciler.noteRouters();
        strays.noteSaid();
      },
    });
    const acknowledged = (): RoutePublisher["acknowledged"] => routes.acknowledged;
    const strays = new StrayRouters({ store, follower, acknowledged, clock, random, logger, lease });
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
        isReported: agents.isReported,
        isDrained: routes.isDrained,
        isUnrouted: routes.isUnrouted,
      }),
    });
    const withdrawals = new WithdrawalKeeper({
      ...{ store, follower, clock, random, logger, lease },
    });
    // Older leaders can commit no more: from here on no placement is unknown, and none is seen as it was before.
    await follower.catchUp(signal);
    const leading: Leading = { agents, routes, reconciler };
    this.#leading = leading;
    try {
      await runTogether(
        [
          (inner) => agents.run(inner),
          (inner) => routes.run(inner),
          (inner) => strays.run(inner),
          (inner) => reconciler.run(inner),
          (inner) => withdrawals.run(inner),
          (inner) => this.#keepTidy(inner),
          (inner) => this.#announce(lease, inner),
        ],
        signal,
      );
    } finally {
      if (this.#leading === leading) this.#leading = null;
    }
  }

  /** What is written for the lease goes through it. */
  #leadersStore(): StateStore {
    const { store, onFenced } = this.#options;
    return tellingStore(store, () => onFenced?.("store"));
  }

  /** Until it is written down. */
  async #announce(lease: Lease, signal: AbortSignal): Promise<void> {
    const { clock, logger, announced } = this.#options;
    if (announced === undefined) return;
    const store = this.#leadersStore();
    const { controller, detach } = childController(signal);
    const step = async (inner: AbortSignal): Promise<void> => {
      await announceLeader(store, lease, announced(), inner);
      controller.abort(ended);
    };
    await repeatUntilAborted("writing down who leads", step, { clock, logger, signal: controller.signal });
    detach();
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
