import type { RegistryClient } from "./client.js";

/** A repository of a registry, and with which rights it is spoken of. */
export interface RepositoryPlace {
  readonly client: RegistryClient;
  /** As the caller names it, for errors. */
  readonly repository: string;
  /** As the registry names it. */
  readonly name: string;
  /** In the words of a token service, such as `repository:NAME:pull`. */
  readonly scope: string;
}
