import type { InstanceSpec } from "@dinp/core";
import { markNames } from "./proc.js";

/** Where an instance's own folders are. */
export interface InstancePlaces {
  readonly appDir: string;
  readonly homeDir: string;
  readonly temporaryDir: string;
  readonly path: readonly string[];
}

/**
 * The environment of an instance, built from nothing: the app's variables, then the platform's, which win. `DINP_RELEASE` is the
 * release's id unless the spec says what it should be (its number).
 */
export function buildEnvironment(
  spec: InstanceSpec,
  clusterId: string,
  places: InstancePlaces,
): Readonly<Record<string, string>> {
  return {
    LANG: "C.UTF-8",
    DINP_RELEASE: spec.releaseId,
    ...spec.env,
    PATH: places.path.join(":"),
    PWD: places.appDir,
    HOME: places.homeDir,
    TMPDIR: places.temporaryDir,
    DINP_APP: spec.appName,
    [markNames.port]: String(spec.port),
    [markNames.instance]: spec.instanceId,
    [markNames.cluster]: clusterId,
  };
}

/** What is wrong with the variables or the words of a command, as a sentence; null when they can be handed to a program. */
export function findUnusable(spec: InstanceSpec): string | null {
  for (const [name, value] of Object.entries(spec.env)) {
    if (name === "" || /[=\0]/.test(name))
      return `The environment variable ${JSON.stringify(name.slice(0, 80))} has no usable name.`;
    if (value.includes("\0")) return `The environment variable ${name} contains a NUL character.`;
  }
  if (spec.command.some((word) => word.includes("\0"))) return "The command contains a NUL character.";
  return null;
}
