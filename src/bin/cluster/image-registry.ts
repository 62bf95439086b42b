import type { Clock, Random, Spool } from "@dinp/core";
import { createOciRegistry, type OciRegistry } from "@dinp/core/oci";
import { ConfigError } from "../config/load-config.js";
import { readPem } from "../config/read-pem.js";
import type { ValuesOf } from "../config/setting.js";
import type { registrySection } from "../config/shared-sections.js";

export type RegistryConfig = ValuesOf<{ readonly registry: typeof registrySection }>["registry"];

/** User and password, or nobody in particular. {@link ConfigError} for one without the other. */
export function registryCredentials({ username, password }: RegistryConfig): {
  readonly username: string;
  readonly password: string;
} | null {
  if (username === null && password === null) return null;
  if (username !== null && password !== null) return { username, password };
  const [given, missing] = username === null ? ["password", "username"] : ["username", "password"];
  throw new ConfigError([`registry.${given} is given, but registry.${missing} is not: give both or neither`]);
}

/** The registry that the configuration names. It is not asked yet. {@link ConfigError}, `DINP_INVALID`. */
export async function imageRegistryOf(
  config: RegistryConfig,
  parts: { readonly clock: Clock; readonly random: Random; readonly spool?: Spool },
): Promise<OciRegistry> {
  const { url, caFile, plainHttp } = config;
  if (url.startsWith("http:") && !plainHttp) {
    throw new ConfigError([
      "registry.url begins with http://, where all can be read and changed on its way: set registry.plainHttp to true if that is meant",
    ]);
  }
  const ca = await readPem("registry.caFile", caFile);
  const credentials = registryCredentials(config);
  return createOciRegistry({
    ...parts,
    ...{ url, plainHttp },
    ...(ca === null ? {} : { ca }),
    ...(credentials === null ? {} : { credentials }),
  });
}
