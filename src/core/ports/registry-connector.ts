import type { Registry } from "./registry.js";

/** How a registry besides the platform's own is spoken to. */
export interface RegistryAccess {
  /** `HOST` or `HOST:PORT`, as it stands in references to images. */
  readonly host: string;
  /** Null: anonymous. */
  readonly credentials: { readonly username: string; readonly password: string } | null;
  /** Certificates (PEM) that are trusted besides the well-known authorities. */
  readonly ca: string | null;
  /** Whether it is spoken to without encryption. */
  readonly plainHttp: boolean;
}

/** Speaks to registries besides the platform's own. */
export interface RegistryConnector {
  /** A registry, which does no I/O before its first call. `DINP_INVALID` for access that cannot be used. */
  connect(access: RegistryAccess): ConnectedRegistry;
}

/** To be closed when it is no longer needed. */
export interface ConnectedRegistry {
  readonly registry: Registry;
  close(): Promise<void>;
}
