import { DinpError } from "./errors.js";

// distribution-spec 1.1, "Pulling manifests": <name> and <reference>.
const COMPONENT = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const REPOSITORY = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const DIGEST = /^sha256:([0-9a-f]{64})$/;
const REPOSITORY_LENGTH_MAX = 200;

/** Throws `DINP_INVALID` unless `repository` is a name of distribution-spec 1.1 of at most 200 characters. */
export function assertImageRepository(repository: string): void {
  if (repository.length <= REPOSITORY_LENGTH_MAX && REPOSITORY.test(repository)) return;
  throw invalid("repository", repository, "lower-case components such as apps/hello, at most 200 characters");
}

/** Throws `DINP_INVALID` unless `tag` is 1 to 128 of `A-Z a-z 0-9 _ . -`, not beginning with `.` or `-`. */
export function assertImageTag(tag: string): void {
  if (!TAG.test(tag)) throw invalid("tag", tag, "1 to 128 of A-Z a-z 0-9 _ . -, not beginning with . or -");
}

/** The 64 hex digits of a `sha256:` digest; `DINP_INVALID` for anything else. */
export function imageDigestHex(digest: string): string {
  const hex = DIGEST.exec(digest)?.[1];
  if (hex === undefined) throw invalid("digest", digest, "sha256: and 64 lower-case hex digits");
  return hex;
}

const BASE_NAME = new RegExp(`^${COMPONENT}$`);
const BASE_NAME_LENGTH_MAX = 63;

/** Throws `DINP_INVALID` unless `name` is one component of a repository's name, of at most 63 characters. */
export function assertBaseName(name: string): void {
  if (name.length <= BASE_NAME_LENGTH_MAX && BASE_NAME.test(name)) return;
  throw new DinpError(
    "DINP_INVALID",
    `${JSON.stringify(name.slice(0, 100))} is not a name of a base image.`,
    {
      hint: "A name is 1 to 63 of a-z, 0-9 and single . _ - between them, such as node-20.",
      details: { field: "base" },
    },
  );
}

const HOST = /^(?=.{1,260}$)[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[1-9][0-9]{0,4})?$/;

/** Throws `DINP_INVALID` unless `host` is `HOST` or `HOST:PORT` as references have it: with a dot or a port, or `localhost`. */
export function assertRegistryHost(host: string): void {
  if (HOST.test(host) && isHost(host) && Number(host.split(":")[1] ?? 1) <= 65_535) return;
  throw new DinpError(
    "DINP_INVALID",
    `${JSON.stringify(host.slice(0, 100))} is not the host of a registry.`,
    {
      hint: "Write HOST or HOST:PORT in lower case, such as registry.example:5000, without http:// and path.",
      details: { field: "host" },
    },
  );
}

/** As Docker reads references: what stands before the first slash is a host when it could be no folder. */
function isHost(first: string): boolean {
  return first.includes(".") || first.includes(":") || first === "localhost";
}

/**
 * Takes the host off a reference to an image: `registry.example:5000/shop/web:v1` is `shop/web:v1` there. `host` is null for
 * an image of the platform's own registry.
 */
export function splitRegistryHost(reference: string): {
  readonly host: string | null;
  readonly reference: string;
} {
  const slash = reference.indexOf("/");
  const first = slash < 0 ? "" : reference.slice(0, slash);
  if (!isHost(first)) return { host: null, reference };
  const host = first.toLowerCase();
  assertRegistryHost(host);
  return { host, reference: reference.slice(slash + 1) };
}

/** An image as a user names it: in a repository, by what it is or by where a tag points now. */
export type ImageReference =
  | { readonly repository: string; readonly digest: string }
  | { readonly repository: string; readonly tag: string };

/**
 * The image that `REPOSITORY@sha256:…` or `REPOSITORY:TAG` names. `DINP_INVALID` for anything else: no host or port, no
 * reference without a tag, none with both (which of the two would count?).
 */
export function parseImageReference(text: string): ImageReference {
  const [name = "", digest, ...more] = text.split("@");
  const [repository = "", tag, ...rest] = name.split(":");
  const isDoubled = (digest === undefined) === (tag === undefined) || more.length + rest.length > 0;
  if (isDoubled) {
    throw new DinpError("DINP_INVALID", `${JSON.stringify(text.slice(0, 300))} does not name one image.`, {
      hint: "Write REPOSITORY:TAG or REPOSITORY@sha256:…, such as apps/hello:v1, behind HOST/ when it is in another registry.",
      details: { field: "image" },
    });
  }
  assertImageRepository(repository);
  if (tag !== undefined) {
    assertImageTag(tag);
    return { repository, tag };
  }
  return { repository, digest: `sha256:${imageDigestHex(digest ?? "")}` };
}

function invalid(field: string, value: string, allowed: string): DinpError {
  const shown = JSON.stringify(value.slice(0, 100));
  return new DinpError("DINP_INVALID", `${shown} is not a ${field} of images.`, {
    hint: `A ${field} is ${allowed}.`,
    details: { field },
  });
}
