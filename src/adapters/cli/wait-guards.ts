import { isDinpError } from "@dinp/core";
import type { AppDetail, Client } from "@dinp/core/client";
import type { Context } from "./context.js";
import { CliError, exitCodes } from "./exit-codes.js";
import { count, formatDuration, printable } from "./text.js";

/** How long the API or the router may be out of reach while a command waits. */
export const outageMs = 30_000;
const outageCodes = ["DINP_UNAVAILABLE", "DINP_TIMEOUT", "DINP_CLOSED"] as const;
/** How long the platform may refuse to place an instance, without progress, before a command stops waiting. */
const REFUSED_MS = 15_000;

/** An operation on one app that a command waits for. */
export interface Waiting {
  readonly context: Context;
  readonly client: Client;
  readonly app: string;
  /** In terms of the context's `now`. */
  readonly deadline: number;
  readonly timeoutMs: number;
  /** Standard output is for JSON: addresses go to the account of what happens. */
  readonly isJson: boolean;
  /** What goes on when the user stops waiting, such as `the rollout of release 3`. */
  readonly operation: string;
}

/** A {@link Waiting} that ends `timeoutMs` from now. */
export function startWaiting(
  context: Context,
  client: Client,
  app: string,
  options: { readonly timeoutMs: number; readonly operation: string; readonly isJson?: boolean },
): Waiting {
  const { isJson = false, ...rest } = options;
  return { context, client, app, deadline: context.now() + options.timeoutMs, isJson, ...rest };
}

/** Whether the API is away, or about to be: it may be back soon, or another server of the cluster answer. */
export function isOutage(error: unknown): boolean {
  return outageCodes.some((code) => isDinpError(error, code));
}

/** Tolerates an API that is away for a while; anything else goes through. */
export class Outage {
  readonly #waiting: Waiting;
  #since: number | null = null;

  constructor(waiting: Waiting) {
    this.#waiting = waiting;
  }

  over(): void {
    this.#since = null;
  }

  note(error: unknown): void {
    const { context } = this.#waiting;
    throwIfInterrupted(this.#waiting);
    if (!isOutage(error)) throw error;
    this.#since ??= context.now();
    if (context.now() - this.#since >= outageMs) throw error;
  }
}

/** Gives up on an app that crashes, or that the platform refuses to place, while nothing gets better. */
export class StuckWatch {
  readonly #now: () => number;
  readonly #gives: { readonly upOnCrash: boolean };
  #ready = -1;
  #notices = "";
  #crashAt: number | null = null;
  #progressAt: number;

  /** Without `upOnCrash`, a crash is left to whoever else judges it: a rollout ends by itself. */
  constructor(now: () => number, gives: { readonly upOnCrash: boolean }) {
    this.#now = now;
    this.#gives = gives;
    this.#progressAt = now();
  }

  /** What to give up with; null while there is hope. */
  look(detail: AppDetail): CliError | null {
    if (detail.desired === "stopped" || detail.state === "deleting") return null;
    return this.#lookForCrash(detail) ?? this.#lookForRefusal(detail);
  }

  #lookForCrash({ name, state, lastCrash }: AppDetail): CliError | null {
    const at = lastCrash?.at ?? 0;
    // A crash before the wait began is not the outcome of what is waited for.
    this.#crashAt ??= at;
    if (!this.#gives.upOnCrash || lastCrash === null) return null;
    if (state !== "crashing" || at <= this.#crashAt) return null;
    return new CliError(exitCodes.failed, `${name} keeps failing: ${printable(lastCrash.reason)}`, {
      hints: [
        `"dinp app ${name}" and "dinp logs ${name}" show why.`,
        "The platform goes on trying, ever more slowly.",
      ],
    });
  }

  #lookForRefusal(detail: AppDetail): CliError | null {
    const notices = detail.notices.join("\n");
    if (detail.ready > this.#ready || notices !== this.#notices || isComing(detail))
      this.#progressAt = this.#now();
    this.#ready = detail.ready;
    this.#notices = notices;
    const notice = detail.notices.find(isRefusal);
    if (notice === undefined || this.#now() - this.#progressAt < REFUSED_MS) return null;
    const message = `${detail.name} has ${tally(detail.ready, detail.instances)}. ${printable(notice)}`;
    return new CliError(exitCodes.failed, message, {
      hints: [
        '"dinp nodes" shows what is free; push with less --memory or --cpu, or scale down.',
        `The platform goes on trying; "dinp app ${detail.name}" shows how far it is.`,
      ],
    });
  }
}

/** Whether an instance of the app's release is on its way up: when it is ready, there may be room for the next. */
function isComing({ release, instanceList }: AppDetail): boolean {
  return instanceList.some(
    (instance) =>
      instance.release === release &&
      instance.desired === "running" &&
      !instance.ready &&
      instance.phase !== "exited",
  );
}

/** True for a notice that an instance cannot be placed now; a wait after a crash ends by itself. */
export function isRefusal(notice: string): boolean {
  return /^[a-z-]+: /.test(notice) && !notice.startsWith("crash-backoff: ");
}

/** Throws with exit code 130 when Ctrl-C was pressed, and says what goes on. */
export function throwIfInterrupted({ context, app, operation }: Waiting): void {
  if (!context.signal.aborted) return;
  throw new CliError(exitCodes.interrupted, `Interrupted, but ${operation} goes on.`, {
    hints: [`"dinp app ${app}" shows how far it is.`],
  });
}

/** As {@link throwIfInterrupted}; and throws {@link timeOver} when it is. */
export function throwIfEnded(waiting: Waiting): void {
  throwIfInterrupted(waiting);
  if (waiting.context.now() >= waiting.deadline) throw timeOver(waiting);
}

/** What a command ends with when its time is over. */
export function timeOver({ app, operation, timeoutMs }: Waiting): CliError {
  return new CliError(
    exitCodes.failed,
    `Not done after ${formatDuration(timeoutMs)}; ${operation} goes on.`,
    {
      hints: [
        `"dinp app ${app}" shows how far it is.`,
        "--timeout SECONDS waits longer, --no-wait does not wait.",
      ],
    },
  );
}

/** `1 of 2 instances ready`. */
export function tally(ready: number, wanted: number): string {
  return `${String(ready)} of ${count(wanted, "instance")} ready`;
}
