import { DinpError, isDinpError, messageOf } from "../model/errors.js";
import type { InstanceId, InstanceStatus, Node } from "../model/records.js";
import { keptImages } from "../plan/kept-images.js";
import type { AgentReport, AgentSession, Assignment } from "../ports/control-link.js";
import type { Lease, RecordChange, StateStore, Write } from "../ports/state-store.js";
import type { Clock, Logger, Random, SecretBox } from "../ports/system.js";
import { isAborted, onAbort } from "./abort.js";
import { completeAssignments, needsSecrets } from "./assignment-secrets.js";
import { EventLog } from "./events.js";
import type { StateFollower } from "./state-follower.js";
import { Backoff, runTogether, sleepQuietly } from "./tasks.js";
import { Wakeup } from "./wakeup.js";

export interface NodeSessionOptions {
  readonly store: StateStore;
  readonly follower: StateFollower;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly lease: Lease;
  /** Opens the secrets of releases whose instances are to be started. */
  readonly secrets: SecretBox;
}

/** Until secrets are read again that could not be; doubles up to the latter. */
const POSTPONED_MS_MIN = 100;
const POSTPONED_MS_MAX = 5_000;

const IMAGES_EVERY_MS = 3_600_000;

/** Refusals of a report, in a row, after which its statuses are written one by one and those refused are left out. */
const REFUSALS_MAX = 5;

/** Errors that say nothing about what was to be written. */
const passingErrors = ["DINP_UNAVAILABLE", "DINP_COMMIT_UNKNOWN", "DINP_CONFLICT", "DINP_TIMEOUT"] as const;

/** One agent's connection: tells it its placements and the images to keep, and writes what it reports. */
export class NodeSession {
  readonly session: AgentSession;
  /** Ends all that is done for this session. */
  readonly end: () => void;
  readonly #options: NodeSessionOptions;
  readonly #seen: () => void;
  readonly #reported: () => void;
  readonly #news = new Wakeup();
  /** What the agent was last told, by instance. */
  readonly #sent = new Map<InstanceId, string>();
  /** Instances whose placement may have changed since; null: any. */
  #dirty: Set<InstanceId> | null = null;
  readonly #ended = new Set<InstanceId>();
  /** Reported without having a placement; to be released when their status is forgotten. */
  readonly #unplaced = new Set<InstanceId>();
  /** Instances of which the store took no status; said once. */
  readonly #refused = new Set<InstanceId>();
  /** When instances wait whose secrets could not be read: for how long, until they are read again. */
  #postponedMs: number | null = null;
  readonly #log: EventLog;
  /** A report waits for the store. */
  isHeldBack = false;
  #hasReported = false;

  constructor(
    session: AgentSession,
    options: NodeSessionOptions,
    told: { readonly end: () => void; readonly seen: () => void; readonly reported: () => void },
  ) {
    this.session = session;
    this.end = told.end;
    this.#options = options;
    this.#log = new EventLog(options.random);
    this.#seen = told.seen;
    this.#reported = told.reported;
  }

  /** What the agent told of all its instances is in the view. */
  get hasReported(): boolean {
    return this.#hasReported;
  }

  async run(signal: AbortSignal): Promise<void> {
    const unsubscribe = this.#options.follower.onChange((changes) => {
      this.#note(changes);
    });
    try {
      await this.#register(signal);
      this.#seen();
      await this.#catchUp(signal);
      await this.#send(signal);
      await runTogether(
        [
          (inner) => this.#sendChanges(inner),
          (inner) => this.#takeReports(inner),
          (inner) => this.#sendKeptImages(inner),
        ],
        signal,
      );
    } finally {
      unsubscribe();
    }
  }

  /** An instance id runs once: the agent is told what to start only when all that its earlier sessions wrote is seen. */
  async #catchUp(signal: AbortSignal): Promise<void> {
    const { follower, clock, logger } = this.#options;
    const backoff = new Backoff(clock);
    this.isHeldBack = true;
    while (this.isHeldBack && !isAborted(signal)) {
      try {
        await follower.catchUp(signal);
        this.isHeldBack = false;
      } catch (error) {
        if (isAborted(signal)) return;
        logger.debug("an agent waits for the store to be read", { error: messageOf(error) });
        await backoff.pause(signal);
      }
    }
  }

  #note(changes: readonly RecordChange[] | null): void {
    if (changes === null) this.#dirty = null;
    else {
      for (const { kind, key, value } of changes) {
        if (kind === "placement" || (kind === "instanceStatus" && value === null)) this.#dirty?.add(key);
      }
    }
    this.#news.wake();
  }

  async #register(signal: AbortSignal): Promise<void> {
    const { hello } = this.session;
    const { store, follower, clock, lease } = this.#options;
    const known = follower.view.get("node", hello.nodeId);
    const node: Node = {
      id: hello.nodeId,
      address: hello.address,
      memoryMb: hello.capacity.memoryMb,
      cpuMillis: hello.capacity.cpuMillis,
      runtime: hello.capacity.runtime,
      programs: hello.capacity.programs,
      ...(hello.instancesMax === undefined ? {} : { instancesMax: hello.instancesMax }),
      labels: hello.labels,
      cordoned: known?.cordoned ?? false,
      registeredAt: known?.registeredAt ?? clock.now(),
    };
    if (known !== undefined && JSON.stringify(known) === JSON.stringify(node)) return;
    const fencing = { lease: lease.name, epoch: lease.epoch };
    const before = follower.view.revisionOf("node", node.id);
    const ifRevision = before === 0 ? "absent" : before;
    const { revision } = await store.commit([{ op: "put", kind: "node", value: node, ifRevision }], {
      fencing,
      signal,
    });
    await follower.reached(revision, signal);
  }

  async #sendChanges(signal: AbortSignal): Promise<void> {
    while (!isAborted(signal)) {
      await this.#news.wait(this.#options.clock, this.#postponedMs, signal);
      if (!isAborted(signal)) await this.#send(signal);
    }
  }

  /** Sends what the agent does not know yet; the first message goes out even when there is nothing. */
  async #send(signal: AbortSignal): Promise<void> {
    const first = this.#dirty === null && this.#sent.size === 0;
    const candidates = this.#dirty ?? this.#allOfNode();
    this.#dirty = new Set();
    const assign: Assignment[] = [];
    const release: InstanceId[] = [...this.#ended];
    this.#ended.clear();
    for (const instanceId of candidates) {
      const assignment = this.#assignmentOf(instanceId);
      if (assignment === null) {
        const isForgotten = this.#options.follower.view.get("instanceStatus", instanceId) === undefined;
        const isUnplaced = isForgotten && this.#unplaced.delete(instanceId);
        if (this.#sent.delete(instanceId) || isUnplaced) release.push(instanceId);
      } else if (this.#sent.get(instanceId) !== assignment.placement.desired) {
        this.#sent.set(instanceId, assignment.placement.desired);
        assign.push(assignment);
      }
    }
    const withSecrets = assign.filter(needsSecrets);
    if (withSecrets.length === 0) this.#postponedMs = null;
    if (first) {
      const complete = await this.#completeAll(withSecrets, signal);
      await this.#tell([...assign.filter((each) => !needsSecrets(each)), ...complete], release);
      return;
    }
    const others = assign.filter((each) => !needsSecrets(each));
    if (others.length > 0 || release.length > 0) await this.#tell(others, release);
    if (withSecrets.length > 0) await this.#sendWithSecrets(withSecrets, signal);
  }

  async #tell(assign: readonly Assignment[], release: readonly InstanceId[]): Promise<void> {
    await this.session.send({ epoch: this.#options.lease.epoch, assign, release });
  }

  /** What cannot be read yet holds nothing else up. */
  async #sendWithSecrets(assign: readonly Assignment[], signal: AbortSignal): Promise<void> {
    const { complete, postponed } = await completeAssignments(this.#options, assign, signal);
    for (const { placement } of postponed) {
      this.#sent.delete(placement.instanceId);
      this.#dirty?.add(placement.instanceId);
    }
    const pauseMs = Math.min(POSTPONED_MS_MAX, 2 * (this.#postponedMs ?? POSTPONED_MS_MIN / 2));
    this.#postponedMs = postponed.length === 0 ? null : pauseMs;
    if (complete.length > 0) await this.#tell(complete, []);
  }

  /** The first message names all placements, so it waits until their secrets could be read. */
  async #completeAll(assign: readonly Assignment[], signal: AbortSignal): Promise<readonly Assignment[]> {
    const backoff = new Backoff(this.#options.clock);
    const done: Assignment[] = [];
    let left = assign;
    while (left.length > 0 && !isAborted(signal)) {
      const { complete, postponed } = await completeAssignments(this.#options, left, signal);
      done.push(...complete);
      left = postponed;
      if (left.length > 0) await backoff.pause(signal);
    }
    return done;
  }

  /** A view that is not fresh may lack what was released meanwhile: nothing is dropped for it. */
  async #sendKeptImages(signal: AbortSignal): Promise<void> {
    const { follower, clock, lease } = this.#options;
    while (!isAborted(signal)) {
      const keepImages = follower.fresh ? keptImages(follower.view, this.session.hello.nodeId) : null;
      if (keepImages !== null) {
        await this.session.send({ epoch: lease.epoch, assign: [], release: [], keepImages });
      }
      await sleepQuietly(clock, IMAGES_EVERY_MS, signal);
    }
  }

  #allOfNode(): Set<InstanceId> {
    const ids = new Set(this.#sent.keys());
    const { nodeId } = this.session.hello;
    for (const placement of this.#options.follower.view.onNode(nodeId)) ids.add(placement.instanceId);
    return ids;
  }

  #assignmentOf(instanceId: InstanceId): Assignment | null {
    const { view } = this.#options.follower;
    const placement = view.get("placement", instanceId);
    if (placement?.nodeId !== this.session.hello.nodeId) return null;
    const release = view.get("release", placement.releaseId);
    const app = view.get("app", placement.appId);
    if (release === undefined || app === undefined) return null;
    const lastStatus = view.get("instanceStatus", instanceId) ?? null;
    const { name: appName, grants } = app;
    return { placement, appName, release, lastStatus, ...(grants === undefined ? {} : { grants }) };
  }

  async #takeReports(signal: AbortSignal): Promise<void> {
    // Without the other half of the session the agent would stay connected and never be told anything.
    const detach = onAbort(signal, () => {
      this.session.close().catch(() => undefined);
    });
    try {
      await this.#takeReportsUntilEnd(signal);
    } finally {
      detach();
    }
  }

  async #takeReportsUntilEnd(signal: AbortSignal): Promise<void> {
    for await (const report of this.session.reports()) {
      this.#seen();
      this.isHeldBack = true;
      await this.#record(report, signal);
      this.isHeldBack = false;
      this.#seen();
      if (isAborted(signal)) return;
      if (report.full) this.#noteFullReport();
    }
    throw new DinpError("DINP_UNAVAILABLE", "The agent's connection ended.", { retryable: true });
  }

  #noteFullReport(): void {
    this.#hasReported = true;
    this.#reported();
  }

  /**
   * Writes what is new in a report; waits out a store that does not answer, which holds the agent back meanwhile. What
   * the store refuses again and again is left out, with an event.
   */
  async #record(report: AgentReport, signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#options;
    const backoff = new Backoff(clock);
    let refusals = 0;
    while (!isAborted(signal)) {
      try {
        if (refusals < REFUSALS_MAX) await this.#commitStatuses(report.statuses, signal);
        else await this.#recordOneByOne(report.statuses, signal);
        return;
      } catch (error) {
        if (isDinpError(error, "DINP_FENCED")) throw error;
        if (isAborted(signal)) return;
        if (!isPassing(error)) refusals += 1;
        logger.warn("an agent's report could not be written yet", { error: messageOf(error) });
        await backoff.pause(signal);
      }
    }
  }

  async #commitStatuses(statuses: readonly InstanceStatus[], signal: AbortSignal): Promise<void> {
    const { store, follower, lease } = this.#options;
    const writes = statuses.flatMap((status) => this.#writeOf(status));
    if (writes.length === 0) return;
    const fencing = { lease: lease.name, epoch: lease.epoch };
    const { revision } = await store.commit(writes, { fencing, signal });
    await follower.reached(revision, signal);
  }

  async #recordOneByOne(statuses: readonly InstanceStatus[], signal: AbortSignal): Promise<void> {
    for (const status of statuses) {
      try {
        await this.#commitStatuses([status], signal);
      } catch (error) {
        if (isPassing(error) || isDinpError(error, "DINP_FENCED") || isAborted(signal)) throw error;
        await this.#explainRefused(status, messageOf(error), signal);
      }
    }
  }

  async #explainRefused(status: InstanceStatus, error: string, signal: AbortSignal): Promise<void> {
    const { store, clock, lease, logger } = this.#options;
    const { nodeId } = this.session.hello;
    logger.error("a status that the store refuses is left out", { node: nodeId, error });
    if (this.#refused.has(status.instanceId)) return;
    const message = `a status from ${nodeId} is left out, because the store refuses it: ${error}`;
    const event = this.#log.write(clock.now(), { type: "report.refused", nodeId, message });
    await store.commit([event], { fencing: { lease: lease.name, epoch: lease.epoch }, signal });
    this.#refused.add(status.instanceId);
  }

  #writeOf(status: InstanceStatus): Write[] {
    const { view } = this.#options.follower;
    if (status.nodeId !== this.session.hello.nodeId) return [];
    const known = view.get("instanceStatus", status.instanceId);
    const placement = view.get("placement", status.instanceId);
    if (placement === undefined) this.#unplaced.add(status.instanceId);
    else this.#unplaced.delete(status.instanceId);
    if (placement === undefined && status.phase === "exited") {
      if (known === undefined) {
        this.#ended.add(status.instanceId);
        this.#news.wake();
        return [];
      }
    }
    if (placement !== undefined && placement.nodeId !== status.nodeId) return [];
    if (known !== undefined && known.seq >= status.seq) return [];
    const merged: InstanceStatus = { ...status, readyAt: known?.readyAt ?? status.readyAt };
    if (known !== undefined && sameBut(known, merged)) return [];
    const before = view.revisionOf("instanceStatus", status.instanceId);
    return [
      { op: "put", kind: "instanceStatus", value: merged, ifRevision: before === 0 ? "absent" : before },
    ];
  }
}

function isPassing(error: unknown): boolean {
  return passingErrors.some((code) => isDinpError(error, code));
}

/** True when two statuses differ in nothing but their sequence number. */
function sameBut(known: InstanceStatus, reported: InstanceStatus): boolean {
  return JSON.stringify({ ...known, seq: 0 }) === JSON.stringify({ ...reported, seq: 0 });
}
