import { messageOf, type Clock, type Logger } from "@dinp/core";
import { isAborted } from "../runtime/aborting.js";
import { jsonLines, type Engine } from "./engine.js";
import { textAt, textMapAt } from "./json.js";
import { labels, type Names } from "./names.js";

/** What happened to an instance's container. */
export interface ContainerEvent {
  readonly action: "start" | "die" | "destroy" | "oom";
  readonly containerId: string;
  readonly instanceId: string;
}

export interface EventListener {
  onEvent(event: ContainerEvent): void;
  /** Events may have been missed: all has to be looked at. Rejects when that cannot be done; it is then called again. */
  onGap(): Promise<void>;
}

const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 5_000;

/** Listens to the engine until the signal aborts, and begins anew when it is interrupted. */
export async function followEvents(
  context: {
    readonly engine: Engine;
    readonly names: Names;
    readonly clock: Clock;
    readonly logger: Logger | undefined;
  },
  listener: EventListener,
  signal: AbortSignal,
): Promise<void> {
  const { engine, names, clock, logger } = context;
  let waitMs = RETRY_MS_MIN;
  let isFirst = true;
  while (!signal.aborted) {
    try {
      const query = { filters: JSON.stringify(filtersOf(names)) };
      const stream = await engine.stream("GET", "/events", { query, signal });
      try {
        // From here nothing is missed: what was before is looked at.
        if (!isFirst) await listener.onGap();
        isFirst = false;
        waitMs = RETRY_MS_MIN;
        for await (const line of jsonLines(stream)) {
          const event = eventOf(line, names);
          if (event !== null) listener.onEvent(event);
        }
      } finally {
        stream.destroy();
      }
    } catch (error) {
      if (isAborted(signal)) return;
      logger?.debug("The engine's events were interrupted.", { error: messageOf(error) });
    }
    isFirst = false;
    await clock.sleep(waitMs, { signal }).catch(() => undefined);
    waitMs = Math.min(waitMs * 2, RETRY_MS_MAX);
  }
}

function filtersOf({ clusterId }: Names): object {
  return {
    type: ["container"],
    event: ["start", "die", "destroy", "oom"],
    label: [`${labels.cluster}=${clusterId}`, `${labels.kind}=instance`],
  };
}

function eventOf(line: unknown, names: Names): ContainerEvent | null {
  const action = textAt(line, "Action");
  if (action !== "start" && action !== "die" && action !== "destroy" && action !== "oom") return null;
  const attributes = textMapAt(line, "Actor", "Attributes");
  const instanceId = attributes[labels.instance] ?? "";
  if (attributes["name"] !== names.container(instanceId)) return null;
  return { action, containerId: textAt(line, "Actor", "ID"), instanceId };
}
