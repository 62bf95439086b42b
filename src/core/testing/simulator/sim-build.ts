import { createHash } from "node:crypto";
import type { Build } from "../../model/records.js";
import type { Hasher } from "../../ports/system.js";
import { EPOCH_MS } from "./sim-process.js";

/** How instances behave, as `behaviorOf` reads it; those that are there more than once are deployed more often. */
export const behaviors = [
  "ok",
  "ok",
  "ok",
  "ok",
  "ok2",
  "slow:9000",
  "crash:20000",
  "crash:500",
  "mute",
] as const;

/** The build of an app whose instances behave so. */
export function buildIdOf(app: string, behavior: string): string {
  return `build-${app}-${behavior}`;
}

/** A finished build, as if it had been uploaded before the world began. */
export function buildOf(app: string, behavior: string): Build {
  return {
    id: buildIdOf(app, behavior),
    appName: app,
    state: "succeeded",
    image: {
      repository: `apps/${app}`,
      digest: `sha256:${createHash("sha256").update(behavior).digest("hex")}`,
    },
    base: { name: "node", digest: `sha256:${"0".repeat(64)}` },
    template: "node",
    command: ["serve"],
    requires: [],
    manifest: { env: { BEHAVIOR: behavior }, drainMs: 12_000, stopGraceMs: 4_000 },
    files: 1,
    bytes: 1,
    error: null,
    createdAt: EPOCH_MS,
    endedAt: EPOCH_MS,
    createdBy: "world",
  };
}

export const hasher: Hasher = {
  sha256: () => {
    const hash = createHash("sha256");
    return {
      update: (bytes) => {
        hash.update(bytes);
      },
      digestHex: () => hash.digest("hex"),
    };
  },
};
