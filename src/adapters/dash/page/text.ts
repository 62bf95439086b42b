import type { AppDetail, AppState } from "@dinp/core";

const UNITS = [
  { unit: "day", ms: 86_400_000 },
  { unit: "hour", ms: 3_600_000 },
  { unit: "minute", ms: 60_000 },
] as const;

const relative = new Intl.RelativeTimeFormat("en", { numeric: "always", style: "long" });

/** How long ago something was, such as `3 minutes ago`. */
export function ago(at: number, now: number): string {
  const past = now - at;
  const fit = UNITS.find(({ ms }) => past >= ms);
  return fit === undefined ? "just now" : relative.format(-Math.floor(past / fit.ms), fit.unit);
}

/** A size for people: `12.3 MB`. */
export function megabytes(bytes: number): string {
  return bytes < 100_000 ? `${String(Math.ceil(bytes / 1_000))} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** `1 instance`, `2 instances`. */
export function amount(number: number, noun: string): string {
  return `${String(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** The first digits of a digest, as much as tells images apart. */
export function shortDigest(digest: string): string {
  return digest.replace(/^sha256:/, "").slice(0, 12);
}

/** A line of a log without what moves a terminal's cursor or colours it. */
export function plain(line: string): string {
  return line
    .replace(/\u001b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-_])/g, "")
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");
}

/** A name that an app made of this file could have: a DNS label. Empty when nothing is left. */
export function appNameOf(fileName: string): string {
  return fileName
    .toLowerCase()
    .replace(/\.(?:tar\.gz|tgz|tar|zip|jar|war)$/, "")
    .replace(/[-_.]v?\d+(?:\.\d+)*(?:[-_.].*)?$/, "")
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 40)
    .replace(/^-+|-+$/g, "");
}

const TROUBLED: ReadonlySet<AppState> = new Set(["degraded", "crashing", "starting", "deploying"]);

/** Whether there may be something to tell of the app beyond its state. */
export function isTroubled(state: AppState): boolean {
  return TROUBLED.has(state);
}

/** What keeps the app from being as it should, as one sentence; null when nothing is known to. */
export function problemOf({ notices, rollout, lastCrash, state }: AppDetail): string | null {
  const [notice] = notices;
  if (notice !== undefined) return notice;
  if (rollout?.state === "failed") return `Release ${String(rollout.number)} failed: ${rollout.reason}`;
  if (lastCrash !== null && state !== "running") return lastCrash.reason;
  return null;
}
