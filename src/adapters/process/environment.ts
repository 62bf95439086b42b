import type { RunSpec } from "@dinp/core";
import type { OwnFolders } from "./instance-folders.js";
import { markNames } from "./proc.js";

/** Where an instance's or command's folders are. */
export interface EnvironmentPlaces extends OwnFolders {
  readonly appDir: string;
  readonly path: readonly string[];
}

/** What an environment is made for: an instance, or with `execId` a command; a one-off has no port. */
export type EnvironmentSpec = RunSpec & { readonly port: number | null; readonly execId: string | null };

/**
 * The environment of an instance or command, built from nothing: the app's variables, then the platform's, which win. `DINP_RELEASE` is the
 * release's id unless the spec says what it should be (its number).
 */
export function buildEnvironment(
  spec: EnvironmentSpec,
  clusterId: string,
  places: EnvironmentPlaces,
): Readonly<Record<string, string>> {
  const own: readonly string[] = Object.values(markNames);
  const env = Object.fromEntries(Object.entries(spec.env).filter(([name]) => !own.includes(name)));
  return {
    LANG: "C.UTF-8",
    DINP_RELEASE: spec.releaseId,
    ...env,
    PATH: places.path.join(":"),
    PWD: places.appDir,
    HOME: places.homeDir,
    TMPDIR: places.temporaryDir,
    DINP_APP: spec.appName,
    DINP_MEMORY_MB: String(spec.memoryMb),
    ...(spec.port === null ? {} : { [markNames.port]: String(spec.port) }),
    ...(spec.execId === null ? {} : { [markNames.exec]: spec.execId }),
    [markNames.instance]: spec.instanceId,
    [markNames.cluster]: clusterId,
  };
}
