import type { ExitCause, InstanceExit } from "@dinp/core";
import { exitMessage, memoryMessage, signalMessage, stoppedMessage } from "../runtime/exit-text.js";
import { explainErrno, type InitLine } from "./init-lines.js";

/** What is known of an instance's end. */
export interface EndFacts {
  readonly at: number;
  readonly ranMs: number;
  /** As the engine has it: 128 and the signal's number when one ended it. */
  readonly engineCode: number;
  /** What the first process said last; null when it could not. */
  readonly line: InitLine | null;
  readonly outOfMemory: boolean;
  readonly memoryMb: number;
  /** This runtime stopped it; for when its first process could not say so. */
  readonly stopped: boolean;
  readonly program: string;
  /** Why the command was never tried. */
  readonly problem: string | null;
  readonly logTail: readonly string[];
}

const KILLED_CODE = 137;

/** The end, its cause and one sentence about it. */
export function exitOf(facts: EndFacts): InstanceExit {
  const { at, line, logTail, engineCode } = facts;
  if (line?.type === "failed") {
    const message = facts.problem ?? explainErrno(facts.program, line.errno);
    return { at, cause: "start", code: null, signal: null, message, logTail };
  }
  // Without a word of the first process, it was itself ended by SIGKILL: nothing else ends it.
  const isKilled = line?.type !== "ended" && engineCode === KILLED_CODE;
  const code = line?.type === "ended" ? line.end.code : isKilled ? null : engineCode;
  const signal = line?.type === "ended" ? line.end.signal : isKilled ? "SIGKILL" : null;
  const stopped = line?.type === "ended" ? line.end.asked : facts.stopped;
  return { at, code, signal, logTail, ...explainEnd({ ...facts, stopped }, code, signal) };
}

/** Whether an engine says that it cannot publish a container's port, since something else has it. */
export function isPortTaken(message: string): boolean {
  return /port is already allocated|address already in use/.test(message);
}

/** The end of an instance that could not be started at its port. */
export function portTakenExit(at: number, host: string, port: number): InstanceExit {
  const message = `The port ${String(port)} of ${host} is taken.`;
  return { at, cause: "start", code: null, signal: null, message, logTail: [] };
}

function explainEnd(
  facts: EndFacts,
  code: number | null,
  signal: string | null,
): { readonly cause: ExitCause; readonly message: string } {
  if (facts.stopped) return { cause: "stopped", message: stoppedMessage({ code, signal }) };
  if (facts.outOfMemory && code !== 0) return { cause: "memory", message: memoryMessage(facts.memoryMb) };
  if (signal !== null) return { cause: "exited", message: signalMessage(signal, facts.ranMs) };
  return { cause: "exited", message: exitMessage(code ?? 0, facts.ranMs, "the image") };
}
