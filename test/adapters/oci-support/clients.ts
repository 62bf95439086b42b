import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createOciRegistry, type OciLimits, type OciRegistry, type OciRegistryOptions } from "@dinp/core/oci";
import { createSystemClock, createSystemRandom } from "@dinp/core/system";
import type { ServicePlaces } from "../../support/services.js";

/** Bounds for tests: quick attempts, and waits that a busy machine keeps. */
export const quick: Partial<OciLimits> = {
  attempts: 4,
  retryMs: 5,
  retryMsMax: 50,
  heldBytes: 256 * 1024,
};

export function clientOf(url: string, options: Omit<Partial<OciRegistryOptions>, "url"> = {}): OciRegistry {
  return createOciRegistry({
    url,
    clock: createSystemClock(),
    random: createSystemRandom(),
    plainHttp: url.startsWith("http:"),
    ...options,
    limits: { ...quick, ...options.limits },
  });
}

/** What a client of the registry with TLS needs besides its address. */
export function tlsOptions(places: ServicePlaces<"registry-tls">): Pick<OciRegistryOptions, "ca"> & {
  readonly credentials: { readonly username: string; readonly password: string };
} {
  return {
    ca: readFileSync(places.DINP_TEST_REGISTRY_TLS_CA, "utf8"),
    credentials: {
      username: places.DINP_TEST_REGISTRY_TLS_USER,
      password: places.DINP_TEST_REGISTRY_TLS_PASSWORD,
    },
  };
}

/** A path that nothing else in a shared registry lies below. */
export function ownPath(): string {
  return `t${randomBytes(6).toString("hex")}`;
}
