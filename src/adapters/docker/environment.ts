import type { RunSpec } from "@dinp/core";

export const HOME = "/home/dinp";
export const TEMPORARY = "/tmp";
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * The variables of an instance or, without a port, a one-off: the app's, then the platform's, which win. `DINP_RELEASE` is the
 * release's id unless the spec says what it should be (its number). The image's own stand where neither names them.
 */
export function buildEnvironment(
  spec: RunSpec,
  { clusterId, port, imagePath }: { clusterId: string; port: number | null; imagePath: string | null },
): readonly string[] {
  const env: Record<string, string> = {
    DINP_RELEASE: spec.releaseId,
    ...spec.env,
    PATH: imagePath ?? DEFAULT_PATH,
    HOME,
    TMPDIR: TEMPORARY,
    DINP_APP: spec.appName,
    DINP_MEMORY_MB: String(spec.memoryMb),
    DINP_INSTANCE_ID: spec.instanceId,
    DINP_CLUSTER: clusterId,
  };
  delete env["PORT"];
  if (port !== null) env["PORT"] = String(port);
  return Object.entries(env).map(([name, value]) => `${name}=${value}`);
}

/** What is wrong with the variables or the words of a command, as a sentence; null when they can be handed to a program. */
export function findUnusable(
  env: Readonly<Record<string, string>>,
  command: readonly string[],
): string | null {
  for (const [name, value] of Object.entries(env)) {
    if (name === "" || /[=\0]/.test(name))
      return `The environment variable ${JSON.stringify(name.slice(0, 80))} has no usable name.`;
    if (value.includes("\0")) return `The environment variable ${name} contains a NUL character.`;
  }
  if ((command[0] ?? "") === "") return "The command is empty.";
  if (command.some((word) => word.includes("\0"))) return "The command contains a NUL character.";
  return null;
}
