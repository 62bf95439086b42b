import { DinpError, isDinpError, messageOf } from "../model/errors.js";
import type {
  ExitCause,
  HealthCheck,
  InstanceExit,
  InstanceId,
  InstanceStatus,
  NodeId,
} from "../model/records.js";
import type { Assignment } from "../ports/control-link.js";
import type { Prober } from "../ports/prober.js";
import type { InstanceSpec, Runtime, RuntimeInstance } from "../ports/runtime.js";
import type { Clock, Logger, Random } from "../ports/system.js";
import {
  applyProbe,
  initialProbeState,
  isStartupOver,
  nextProbeAt,
  type ProbeState,
} from "../probing/probe-state.js";
import { childController, ended, isAborted } from "./abort.js";
import { environmentOf } from "./agent-services.js";
import { secretMask } from "./secret-mask.js";
import type { InstancePorts } from "./instance-ports.js";
import { Backoff, runTogether, sleepQuietly } from "./tasks.js";
import { Wakeup } from "./wakeup.js";

/** What an agent's instances share. */
export interface InstanceContext {
  readonly nodeId: NodeId;
  readonly runtime: Runtime;
  readonly prober: Prober;
  readonly ports: InstancePorts;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** A number that is higher than any before, over restarts too, and than `above`. */
  readonly nextSeq: (above?: number) => number;
  /** The instance's status changed. */
  readonly onChange: (instanceId: InstanceId) => void;
  /** The instance is forgotten, its port free. */
  readonly onGone: (instanceId: InstanceId) => void;
}

/** Another reason for the same verdict is told at most this often: each telling is a commit of the server. */
const REASON_EVERY_MS = 10_000;

/** Errors that another try does not mend. */
const finalImageErrors = ["DINP_IMAGE_NOT_FOUND", "DINP_DIGEST_MISMATCH", "DINP_CORRUPT"] as const;

/**
 * Drives one instance through its life on this node: port → image → start → probes → stop → removal.
 * Level-triggered: whatever it is told, it looks at what is wanted and what is, and takes the next step.
 */
export class AgentInstance {
  readonly instanceId: InstanceId;
  readonly #context: InstanceContext;
  readonly #news = new Wakeup();
  #status: InstanceStatus;
  #assignment: Assignment | null;
  /** The runtime has it, running or ended. */
  #started: boolean;
  #released = false;
  /** The runtime was asked to start it: it may run, whatever came of the question. */
  #tried = false;
  #port: number | null = null;
  /** Ends the present fetch of its image. */
  #giveUpFetch: (() => void) | null = null;
  /** Set when it was never ready in time: why it is stopped. */
  #startupFailure: string | null = null;
  #probe: ProbeState | null = null;
  /** Of the secrets that it was started with: what the app and its start say of them is not told on. */
  #mask: (text: string) => string = (text) => text;
  /** When the verdict or its reason was last told, by the monotonic clock. */
  #toldAt = -Infinity;

  private constructor(
    context: InstanceContext,
    status: InstanceStatus,
    assignment: Assignment | null,
    started: boolean,
  ) {
    this.instanceId = status.instanceId;
    this.#context = context;
    this.#status = status;
    this.#assignment = assignment;
    this.#started = started;
  }

  /**
   * One that is to be started here. An instance id runs once: one that the server knows to have run has been lost, and
   * ends. Its port stays held, since routers may still send requests there.
   */
  static assigned(context: InstanceContext, assignment: Assignment): AgentInstance {
    const { instanceId, appId, releaseId } = assignment.placement;
    const last = assignment.lastStatus;
    if (last?.endpoint != null) context.ports.hold(last.endpoint.port, instanceId);
    const status: InstanceStatus = {
      instanceId,
      appId,
      releaseId,
      nodeId: context.nodeId,
      phase: "starting",
      ready: false,
      readyAt: null,
      endpoint: null,
      startedAt: context.clock.now(),
      reason: "taken over by its node",
      exit: null,
      seq: context.nextSeq(last?.seq),
    };
    if (last === null || last.phase === "starting") {
      return new AgentInstance(context, status, assignment, false);
    }
    const lost = new AgentInstance(context, { ...last, seq: status.seq }, assignment, false);
    if (last.phase !== "exited") lost.#end("unknown", "its node no longer knows it");
    return lost;
  }

  /** One that an earlier run of this agent started. */
  static found(context: InstanceContext, found: RuntimeInstance): AgentInstance {
    const { instanceId, appId, releaseId, host, port, startedAt, exit } = found;
    context.ports.hold(port, instanceId);
    const status: InstanceStatus = {
      instanceId,
      appId,
      releaseId,
      nodeId: context.nodeId,
      phase: found.state === "running" ? "running" : "exited",
      ready: false,
      readyAt: null,
      endpoint: { instanceId, host, port },
      startedAt,
      reason: found.state === "running" ? "found running" : (exit?.message ?? "found ended"),
      exit,
      seq: context.nextSeq(),
    };
    return new AgentInstance(context, status, null, true);
  }

  get status(): InstanceStatus {
    return this.#status;
  }

  /** True while the runtime should know it. */
  get isRunningHere(): boolean {
    return this.#started && this.#status.phase !== "exited";
  }

  assign(assignment: Assignment): void {
    const adopted = this.#assignment === null && this.#started;
    this.#assignment = assignment;
    const last = assignment.lastStatus;
    if (adopted && last?.readyAt != null && this.#status.phase === "running") {
      this.#change({ ready: last.ready, readyAt: last.readyAt, reason: last.reason });
    }
    if (last !== null && last.seq >= this.#status.seq) {
      this.#status = { ...this.#status, seq: this.#context.nextSeq(last.seq) };
    }
    if (assignment.placement.desired !== "running") this.#giveUpFetch?.();
    this.#news.wake();
  }

  /** No router knows it any more: once it has ended, it may be forgotten. */
  release(): void {
    this.#released = true;
    this.#news.wake();
  }

  /** What the runtime says now; null: it does not know the instance. */
  observe(found: RuntimeInstance | null): void {
    if (!this.isRunningHere) return;
    if (found === null) this.#end("unknown", "the runtime no longer knows it");
    else if (found.state === "exited") this.#endAs(found.exit);
    this.#news.wake();
  }

  /** Drives the instance until it is forgotten or the signal aborts; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#context;
    const backoff = new Backoff(clock, 100, 10_000);
    while (!isAborted(signal)) {
      try {
        if (await this.#step(signal)) return;
        backoff.succeeded();
      } catch (error) {
        if (isAborted(signal)) return;
        this.#tellOfFailure(error);
        logger.warn("an instance's step failed; it is tried again", {
          instance: this.instanceId,
          error: this.#mask(messageOf(error)),
        });
        await backoff.pause(signal);
      }
    }
  }

  /** A start that keeps failing says why; each reason once. */
  #tellOfFailure(error: unknown): void {
    const reason = this.#mask(`it cannot be started yet and is tried again: ${messageOf(error)}`);
    if (this.#status.phase === "starting" && this.#status.reason !== reason) this.#change({ reason });
  }

  /** Takes the next step; true when there will be none. */
  async #step(signal: AbortSignal): Promise<boolean> {
    const desired = this.#assignment?.placement.desired ?? "running";
    if (this.#status.phase === "exited") {
      if (this.#released) return this.#forget(signal);
      await this.#news.wait(this.#context.clock, null, signal);
    } else if (!this.#started) {
      if (desired === "running" && !this.#released) await this.#start(signal);
      else await this.#stopUnstarted(signal);
    } else if (desired === "stopped" || this.#startupFailure !== null) await this.#stop(signal);
    else if (desired === "running" && this.#assignment !== null)
      await this.#probeUntilNews(this.#assignment, signal);
    else await this.#news.wait(this.#context.clock, null, signal);
    return false;
  }

  async #stopUnstarted(signal: AbortSignal): Promise<void> {
    const graceMs = this.#assignment?.release.stopGraceMs ?? 0;
    if (this.#tried) await this.#context.runtime.stop(this.instanceId, { graceMs, signal });
    this.#end("stopped", "stopped before it was started");
  }

  async #forget(signal: AbortSignal): Promise<boolean> {
    const { runtime, ports, onGone } = this.#context;
    await runtime.remove(this.instanceId, { signal });
    ports.release(this.instanceId);
    onGone(this.instanceId);
    return true;
  }

  async #start(signal: AbortSignal): Promise<void> {
    const { runtime, clock, nodeId } = this.#context;
    const assignment = this.#assignment;
    if (assignment === null) return;
    const { release, secrets = {} } = assignment;
    const unstartable = whyUnstartable(assignment);
    if (unstartable !== null) return this.#giveUpStart(unstartable, signal);
    this.#mask = secretMask(Object.values(secrets));
    if (!(await this.#fetchImage(assignment, signal))) return;
    if (this.#assignment?.placement.desired !== "running") return;
    this.#port ??= await this.#context.ports.take(this.instanceId);
    const spec: InstanceSpec = {
      instanceId: this.instanceId,
      appId: release.appId,
      appName: assignment.appName,
      releaseId: release.id,
      image: release.image,
      command: release.command,
      ...environmentOf(release, nodeId, secrets),
      memoryMb: release.memoryMb,
      cpuMillis: release.cpuMillis,
      port: this.#port,
      ...(assignment.grants === undefined ? {} : { grants: assignment.grants }),
    };
    this.#tried = true;
    const found = await runtime.start(spec, { signal });
    this.#started = true;
    this.#probe = initialProbeState(clock.monotonicMs());
    const endpoint = { instanceId: this.instanceId, host: found.host, port: found.port };
    const { startedAt } = found;
    if (found.state === "exited") {
      this.#status = { ...this.#status, endpoint, startedAt };
      this.#endAs(found.exit);
    } else this.#change({ phase: "running", endpoint, startedAt, reason: "started, not ready yet" });
  }

  /** It may run by an earlier try all the same. */
  async #giveUpStart(reason: string, signal: AbortSignal): Promise<void> {
    if (this.#tried) await this.#context.runtime.stop(this.instanceId, { graceMs: 0, signal });
    this.#end("start", reason);
  }

  /** False when the image cannot be had, or is not wanted any more. */
  async #fetchImage(assignment: Assignment, signal: AbortSignal): Promise<boolean> {
    const { controller: fetch, detach } = childController(signal);
    this.#giveUpFetch = () => {
      fetch.abort(ended);
    };
    try {
      await this.#context.runtime.prepareImage(assignment.release.image, { signal: fetch.signal });
      return true;
    } catch (error) {
      if (isAborted(fetch.signal)) return false;
      if (!finalImageErrors.some((code) => isDinpError(error, code))) throw error;
      this.#end("image", `its image could not be unpacked: ${messageOf(error)}`);
      return false;
    } finally {
      detach();
      this.#giveUpFetch = null;
    }
  }

  async #stop(signal: AbortSignal): Promise<void> {
    const { runtime } = this.#context;
    const graceMs = this.#assignment?.release.stopGraceMs ?? 0;
    const reason = this.#startupFailure ?? this.#assignment?.placement.reason ?? "stopped";
    if (this.#status.phase !== "stopping") this.#change({ phase: "stopping", ready: false, reason });
    await runtime.stop(this.instanceId, { graceMs, signal });
    const left = await runtime.list({ signal });
    this.observe(left.find((candidate) => candidate.instanceId === this.instanceId) ?? null);
    if (this.isRunningHere) {
      throw new DinpError(
        "DINP_UNAVAILABLE",
        "The runtime stopped the instance and still lists it as running.",
      );
    }
  }

  /** Probes on schedule until something else is to be done. */
  async #probeUntilNews(assignment: Assignment, signal: AbortSignal): Promise<void> {
    const { clock } = this.#context;
    const { check } = assignment.release;
    const { controller: round, detach } = childController(signal);
    const news = async (inner: AbortSignal): Promise<void> => {
      await this.#news.wait(clock, null, inner);
      round.abort(ended);
    };
    try {
      await runTogether([news, (inner) => this.#probeOn(check, inner)], round.signal);
    } finally {
      detach();
    }
  }

  async #probeOn(check: HealthCheck, signal: AbortSignal): Promise<void> {
    const { clock, prober, random } = this.#context;
    const { endpoint } = this.#status;
    if (endpoint === null) return;
    while (!isAborted(signal)) {
      const state = this.#probe ?? this.#adoptedProbe();
      const dueAt = nextProbeAt(state, check, random.next());
      await sleepQuietly(clock, Math.max(0, dueAt - clock.monotonicMs()), signal);
      if (isAborted(signal)) return;
      const target = { host: endpoint.host, port: endpoint.port, check };
      const result = await prober.probe(target, { timeoutMs: check.timeoutMs, signal });
      const judged = applyProbe(state, result, check, clock.monotonicMs());
      // What the prober could not try says nothing, also not that the start-up time is over.
      if (result.outcome === "unknown") this.#probe = judged;
      else this.#judge(judged, check);
    }
  }

  /** An adopted instance goes on from what the server knew; its start-up time begins anew. */
  #adoptedProbe(): ProbeState {
    const state = initialProbeState(this.#context.clock.monotonicMs());
    const { ready, readyAt, reason } = this.#status;
    return readyAt === null ? state : { ...state, ready, everReady: true, reason };
  }

  #judge(state: ProbeState, check: HealthCheck): void {
    const { clock } = this.#context;
    this.#probe = state;
    if (this.#status.phase !== "running") return;
    if (isStartupOver(state, check, clock.monotonicMs())) {
      const seconds = String(check.startupMs / 1000);
      this.#startupFailure = `not ready within ${seconds} s of its start: ${state.reason}`;
      this.#news.wake();
      return;
    }
    const now = clock.monotonicMs();
    const isOtherReason = !state.ready && state.reason !== this.#status.reason;
    const isNews =
      state.ready !== this.#status.ready || (isOtherReason && now - this.#toldAt >= REASON_EVERY_MS);
    if (!isNews) return;
    this.#toldAt = now;
    const readyAt = this.#status.readyAt ?? (state.ready ? clock.now() : null);
    this.#change({ ready: state.ready, readyAt, reason: state.reason });
  }

  #endAs(exit: InstanceExit | null): void {
    if (exit === null) this.#end("unknown", "ended");
    else if (this.#startupFailure === null) this.#finish(exit);
    else this.#finish({ ...exit, cause: "startup", message: this.#startupFailure });
  }

  #end(cause: ExitCause, message: string): void {
    this.#finish({ at: this.#context.clock.now(), cause, code: null, signal: null, message, logTail: [] });
  }

  #finish(found: InstanceExit): void {
    const { message, logTail } = found;
    const exit = { ...found, message: this.#mask(message), logTail: logTail.map((line) => this.#mask(line)) };
    this.#change({ phase: "exited", ready: false, reason: exit.message, exit });
    this.#news.wake();
  }

  #change(change: Partial<InstanceStatus>): void {
    this.#status = { ...this.#status, ...change, seq: this.#context.nextSeq() };
    this.#context.onChange(this.instanceId);
  }
}

/** Null: it can be started. */
function whyUnstartable({ release, secrets = {}, unstartable }: Assignment): string | null {
  if (unstartable !== undefined) return unstartable;
  const untold = Object.keys(release.secrets ?? {}).find((name) => !Object.hasOwn(secrets, name));
  return untold === undefined ? null : `The server did not tell the secret "${untold}".`;
}
