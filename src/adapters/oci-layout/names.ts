import { DinpError } from "@dinp/core";

// distribution-spec 1.1, "Pulling manifests": <name> and <reference>.
const COMPONENT = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const REPOSITORY = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const DIGEST = /^sha256:([0-9a-f]{64})$/;
const REPOSITORY_LENGTH_MAX = 200;

/**
 * The one folder name that a repository has on disk: `apps/hello` is `apps+hello`, so that no repository lies inside
 * another. `DINP_INVALID` for a name outside distribution-spec 1.1 or longer than 200 characters.
 */
export function repositoryFolder(repository: string): string {
  if (repository.length <= REPOSITORY_LENGTH_MAX && REPOSITORY.test(repository)) {
    return repository.replaceAll("/", "+");
  }
  throw invalid("repository", repository, "lower-case components such as apps/hello, at most 200 characters");
}

/** Throws `DINP_INVALID` unless `tag` is 1 to 128 of `A-Z a-z 0-9 _ . -`, not beginning with `.` or `-`. */
export function assertTag(tag: string): void {
  if (!TAG.test(tag)) throw invalid("tag", tag, "1 to 128 of A-Z a-z 0-9 _ . -, not beginning with . or -");
}

/** The 64 hex digits of a `sha256:` digest; `DINP_INVALID` for anything else. */
export function digestHex(digest: string): string {
  const hex = DIGEST.exec(digest)?.[1];
  if (hex === undefined) throw invalid("digest", digest, "sha256: and 64 lower-case hex digits");
  return hex;
}

function invalid(field: string, value: string, allowed: string): DinpError {
  const shown = JSON.stringify(value.slice(0, 100));
  return new DinpError("DINP_INVALID", `${shown} is not a ${field} of images.`, {
    hint: `A ${field} is ${allowed}.`,
    details: { field },
  });
}
