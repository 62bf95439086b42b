import { assertImageRepository } from "@dinp/core";

/**
 * The one folder name that a repository has on disk: `apps/hello` is `apps+hello`, so that no repository lies inside
 * another. `DINP_INVALID` for a name that is none.
 */
export function repositoryFolder(repository: string): string {
  assertImageRepository(repository);
  return repository.replaceAll("/", "+");
}
