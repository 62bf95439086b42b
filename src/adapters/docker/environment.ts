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
