import type { ExitCause } from "@dinp/core";
import {
  exitMessage,
  formatRunTime,
  memoryMessage,
  signalMessage,
  stoppedMessage,
} from "../runtime/exit-text.js";

/** What is known of an instance's end. */
export interface EndFacts {
  readonly code: number | null;
  readonly signal: string | null;
  readonly ranMs: number;
  readonly memoryMb: number;
  /** The platform sent the signal, because it was asked to. */
  readonly stopped: boolean;
  /** The kernel or the sampler ended a process for its memory just before. */
  readonly outOfMemory: boolean;
  /** It was started by an earlier run of the platform, so that nobody could wait for its exit code. */
  readonly adopted: boolean;
}

/** The cause of an end and one sentence about it. */
export function explainEnd(facts: EndFacts): { readonly cause: ExitCause; readonly message: string } {
  const { code, signal } = facts;
  if (facts.stopped) return { cause: "stopped", message: stoppedMessage(facts) };
  if (facts.outOfMemory) return { cause: "memory", message: memoryMessage(facts.memoryMb) };
  if (signal !== null) return { cause: "exited", message: signalMessage(signal, facts.ranMs) };
  if (code !== null)
    return { cause: "exited", message: exitMessage(code, facts.ranMs, "the app or on this node") };
  const why = facts.adopted
    ? "its exit code is not known, since it was started by an earlier run of the platform"
    : "how is not known";
  return { cause: "exited", message: `It ended after ${formatRunTime(facts.ranMs)}; ${why}.` };
}
