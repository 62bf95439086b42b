import type { ExitCause } from "@dinp/core";

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
  if (facts.stopped) return { cause: "stopped", message: `The platform stopped it${stoppedHow(facts)}.` };
  if (facts.outOfMemory)
    return { cause: "memory", message: `It used more than its ${String(facts.memoryMb)} MB of memory.` };
  const after = `after ${seconds(facts.ranMs)}`;
  if (signal !== null)
    return { cause: "exited", message: `It was ended ${after} by signal ${signal} (not by the platform).` };
  if (code === null) {
    const why = facts.adopted
      ? "its exit code is not known, since it was started by an earlier run of the platform"
      : "how is not known";
    return { cause: "exited", message: `It ended ${after}; ${why}.` };
  }
  return { cause: "exited", message: `It exited with code ${String(code)} ${after}${meaningOf(code)}.` };
}

function stoppedHow({ code, signal }: EndFacts): string {
  if (signal === "SIGKILL") return " by SIGKILL";
  if (signal !== null || code === null) return "";
  return code === 0 ? "" : ` (it exited with code ${String(code)})`;
}

function meaningOf(code: number): string {
  if (code === 127)
    return ": command not found. The program, or one that its script calls, is not in the app or on this node";
  if (code === 126)
    return ": the command cannot be executed. Check its permission to execute and its first line";
  if (code > 128 && code < 160) return `, which is a shell's way to report signal ${String(code - 128)}`;
  return code === 0 ? ". A web app is expected to go on running" : "";
}

function seconds(ms: number): string {
  if (ms < 60_000) return `${(Math.max(0, ms) / 1000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 120) return `${String(minutes)} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${String(hours)} h` : `${String(Math.floor(hours / 24))} days`;
}
