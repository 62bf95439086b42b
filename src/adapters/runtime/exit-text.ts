/** How an instance's first process ended: of both, null when it is not known or was the other. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: string | null;
}

export function stoppedMessage({ code, signal }: ProcessEnd): string {
  const isPlain = signal === null && code !== null && code !== 0;
  const how = signal === "SIGKILL" ? " by SIGKILL" : isPlain ? ` (it exited with code ${String(code)})` : "";
  return `The platform stopped it${how}.`;
}

export function memoryMessage(memoryMb: number): string {
  return `It used more than its ${String(memoryMb)} MB of memory.`;
}

export function signalMessage(signal: string, ranMs: number): string {
  return `It was ended after ${formatRunTime(ranMs)} by signal ${signal} (not by the platform).`;
}

/** `place`: where the programs are that it could have called, such as `the image`. */
export function exitMessage(code: number, ranMs: number, place: string): string {
  return `It exited with code ${String(code)} after ${formatRunTime(ranMs)}${meaningOf(code, place)}.`;
}

export function formatRunTime(ms: number): string {
  if (ms < 60_000) return `${(Math.max(0, ms) / 1000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 120) return `${String(minutes)} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${String(hours)} h` : `${String(Math.floor(hours / 24))} days`;
}

/** What the codes mean that shells and programs by convention end with. */
function meaningOf(code: number, place: string): string {
  if (code === 127)
    return `: command not found. The program, or one that its script calls, is not in ${place}`;
  if (code === 126)
    return ": the command cannot be executed. Check its permission to execute and its first line";
  if (code > 128 && code < 160) return `, which is a shell's way to report signal ${String(code - 128)}`;
  return code === 0 ? ". A web app is expected to go on running" : "";
}
