import { DinpError, messageOf } from "../model/errors.js";
import type { ImageRef, InstanceId, NodeId } from "../model/records.js";
import type { AgentHello, ControlLinkClient, ServerMessage, ServerSession } from "../ports/control-link.js";
import type { Prober } from "../ports/prober.js";
import type { Runtime } from "../ports/runtime.js";
import type { Clock, LocalState, Logger, Random } from "../ports/system.js";
import { childController, ended, isAborted, onAbort } from "./abort.js";
import { AgentInstance, type InstanceContext } from "./agent-instance.js";
import { agentServices } from "./agent-services.js";
import type { InstancePorts } from "./instance-ports.js";
import { NodeImages } from "./node-images.js";
import { forEachHint, repeatUntilAborted, runTogether, sleepQuietly } from "./tasks.js";
import { Wakeup } from "./wakeup.js";

export interface AgentOptions {
  readonly nodeId: NodeId;
  readonly address: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Opened. */
  readonly runtime: Runtime;
  readonly prober: Prober;
  readonly link: ControlLinkClient;
  readonly ports: InstancePorts;
  /** Keeps the highest epoch seen and the report numbers over restarts. */
  readonly state: LocalState;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly heartbeatMs?: number;
  /** How often the runtime is asked for all instances, besides its hints. */
  readonly resyncMs?: number;
  /** See {@link NodeImages}. */
  readonly imageGraceMs?: number;
  /** Told of each message that was refused because a newer leader was heard of before. */
  readonly onFenced?: () => void;
}

/** Numbers that one run of the agent may give out: a run's number is its high part. */
const SEQ_BLOCK = 2 ** 32;

const WATCH_PAUSE_MS = 1_000;

/**
 * Runs exactly the placements of its node. It decides nothing: it starts and stops what it is told, probes what runs,
 * and reports. Without a server everything goes on as it is.
 */
export class Agent {
  readonly #options: AgentOptions;
  readonly #instances = new Map<InstanceId, AgentInstance>();
  readonly #changed = new Set<InstanceId>();
  readonly #news = new Wakeup();
  readonly #runs = new Set<Promise<void>>();
  readonly #images: NodeImages;
  #epoch = 0;
  #seq = 0;
  #spawn: (instance: AgentInstance) => void = () => undefined;

  constructor(options: AgentOptions) {
    this.#options = options;
    const { imageGraceMs: graceMs } = options;
    this.#images = new NodeImages({ ...options, ...(graceMs === undefined ? {} : { graceMs }) });
  }

  /** Works until the signal aborts; instances go on running after it. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#untilItCan("reading the agent's own notes", signal, () => this.#recall());
    this.#spawn = (instance) => {
      const { controller, detach } = childController(signal);
      const run = instance.run(controller.signal).finally(() => {
        detach();
        this.#runs.delete(run);
      });
      this.#runs.add(run);
    };
    await this.#findInstances(signal);
    const { clock, logger } = this.#options;
    await runTogether(
      [
        (inner) =>
          repeatUntilAborted("the agent's session", (s) => this.#converse(s), {
            clock,
            logger,
            signal: inner,
          }),
        (inner) =>
          repeatUntilAborted("watching the runtime", (s) => this.#watch(s), { clock, logger, signal: inner }),
        (inner) =>
          repeatUntilAborted("resyncing", (s) => this.#resyncLater(s), { clock, logger, signal: inner }),
        (inner) => this.#images.run(inner),
      ],
      signal,
    );
    await Promise.all(this.#runs);
  }

  /** An image that will probably be used here soon: it is fetched meanwhile, if there is time. Null: it is being built. */
  expectImage(image: ImageRef | null): void {
    this.#images.expect(image);
  }

  async #recall(): Promise<void> {
    const { state } = this.#options;
    this.#epoch = Number((await state.read("epoch")) ?? "0");
    const run = Number((await state.read("run")) ?? "0") + 1;
    await state.write("run", String(run));
    this.#seq = run * SEQ_BLOCK;
  }

  #context(): InstanceContext {
    const { nodeId, runtime, prober, ports, clock, random, logger } = this.#options;
    return {
      nodeId,
      runtime,
      prober,
      ports,
      clock,
      random,
      logger,
      nextSeq: (above) => {
        this.#seq = Math.max(this.#seq, above ?? 0) + 1;
        return this.#seq;
      },
      onChange: (instanceId) => {
        this.#changed.add(instanceId);
        this.#news.wake();
      },
      onGone: (instanceId) => {
        this.#instances.delete(instanceId);
        this.#changed.delete(instanceId);
      },
    };
  }

  #keep(instance: AgentInstance): void {
    this.#instances.set(instance.instanceId, instance);
    this.#spawn(instance);
  }

  /** Takes over what an earlier run left. A runtime that cannot tell is asked until it can: it has not said "none". */
  async #findInstances(signal: AbortSignal): Promise<void> {
    const { runtime } = this.#options;
    await this.#untilItCan("finding instances", signal, async (inner) => {
      for (const found of await runtime.list({ signal: inner })) {
        if (!this.#instances.has(found.instanceId)) this.#keep(AgentInstance.found(this.#context(), found));
      }
    });
  }

  /** Nothing goes on without it: it is tried until it succeeds once, or the signal aborts. */
  async #untilItCan(
    name: string,
    signal: AbortSignal,
    step: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const { clock, logger } = this.#options;
    const { controller: done, detach } = childController(signal);
    const once = async (inner: AbortSignal): Promise<void> => {
      await step(inner);
      done.abort(ended);
    };
    await repeatUntilAborted(name, once, { clock, logger, signal: done.signal });
    detach();
  }

  async #watch(signal: AbortSignal): Promise<void> {
    await forEachHint(this.#options.runtime.watch({ signal }), () => this.#resync(signal));
    // A watch that ends by itself must not be begun anew without a pause.
    await sleepQuietly(this.#options.clock, WATCH_PAUSE_MS, signal);
  }

  async #resyncLater(signal: AbortSignal): Promise<void> {
    await sleepQuietly(this.#options.clock, this.#options.resyncMs ?? 10_000, signal);
    if (!isAborted(signal)) await this.#resync(signal);
  }

  /** Shows every instance that ran before the question what the runtime answered. */
  async #resync(signal: AbortSignal): Promise<void> {
    const before = [...this.#instances.values()].filter((instance) => instance.isRunningHere);
    const found = await this.#options.runtime.list({ signal });
    const byId = new Map(found.map((instance) => [instance.instanceId, instance]));
    for (const instance of before) instance.observe(byId.get(instance.instanceId) ?? null);
  }

  async #converse(signal: AbortSignal): Promise<void> {
    const { link, runtime, nodeId, address, ports, labels = {} } = this.#options;
    const capacity = await runtime.capacity();
    const hello: AgentHello = { nodeId, address, capacity, instancesMax: ports.size, labels };
    const services = agentServices(nodeId, runtime, this.#images);
    const session = await link.connect(hello, { ...services, signal });
    const detach = onAbort(signal, () => {
      void session.close();
    });
    try {
      await this.#serve(session, signal);
    } finally {
      detach();
      await session.close();
    }
  }

  /** The first message names all placements; only then is it known which instances have none. */
  async #serve(session: ServerSession, signal: AbortSignal): Promise<void> {
    const { controller: over, detach } = childController(signal);
    let reporting: Promise<void> | null = null;
    try {
      for await (const message of session.messages()) {
        await this.#obey(message);
        reporting ??= this.#report(session, over.signal).catch((error: unknown) => {
          this.#options.logger.debug("reporting ended", { error: messageOf(error) });
          void session.close();
        });
      }
    } finally {
      detach();
      over.abort();
      // A report that the server has not taken yet would hold this end up.
      await session.close();
      await reporting;
    }
    if (!isAborted(signal))
      throw new DinpError("DINP_UNAVAILABLE", "The server ended the connection.", { retryable: true });
  }

  async #obey(message: ServerMessage): Promise<void> {
    const { state, logger } = this.#options;
    if (message.epoch < this.#epoch) {
      logger.warn("a message of an old leader was refused", { epoch: message.epoch, highest: this.#epoch });
      this.#options.onFenced?.();
      return;
    }
    if (message.epoch > this.#epoch) {
      await state.write("epoch", String(message.epoch));
      this.#epoch = message.epoch;
    }
    for (const assignment of message.assign) {
      this.#images.noteAsked(assignment.release.image);
      const known = this.#instances.get(assignment.placement.instanceId);
      if (known === undefined) this.#keep(AgentInstance.assigned(this.#context(), assignment));
      else known.assign(assignment);
    }
    for (const instanceId of message.release) {
      const known = this.#instances.get(instanceId);
      if (known === undefined) continue;
      if (known.status.phase === "exited") known.release();
      else logger.warn("a running instance was not forgotten", { instance: instanceId });
    }
    if (message.keepImages !== undefined) this.#images.keepOnly(message.keepImages);
  }

  async #report(session: ServerSession, signal: AbortSignal): Promise<void> {
    const { nodeId, clock, heartbeatMs = 5_000 } = this.#options;
    this.#changed.clear();
    const all = [...this.#instances.values()].map((instance) => instance.status);
    await session.report({ nodeId, full: true, statuses: all });
    while (!isAborted(signal)) {
      if (this.#changed.size === 0) await this.#news.wait(clock, heartbeatMs, signal);
      if (isAborted(signal)) return;
      const ids = [...this.#changed];
      this.#changed.clear();
      const statuses = ids.flatMap((id) => this.#instances.get(id)?.status ?? []);
      await session.report({ nodeId, full: false, statuses });
    }
  }
}
