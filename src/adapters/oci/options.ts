import { X509Certificate } from "node:crypto";
import { DinpError, assertImageRepository, type Clock, type Random, type Spool } from "@dinp/core";

/** Who asks: a user and a password (or access token), or an identity token (OAuth 2 refresh token) of a token service. */
export type OciCredentials =
  { readonly username: string; readonly password: string } | { readonly identityToken: string };

/** Bounds of an {@link OciRegistry}; times in milliseconds. */
export interface OciLimits {
  /** How often a request that failed on its way is made, the first time included. Default 6. */
  readonly attempts: number;
  /** The longest wait before the second attempt; it doubles for each further one. Default 500. */
  readonly retryMs: number;
  /** The longest wait between two attempts. Default 10,000. */
  readonly retryMsMax: number;
  /** The longest `Retry-After` that is waited for; a longer one ends the call. Default 60,000. */
  readonly retryAfterMsMax: number;
  /** For a connection, TLS included. Default 10,000. */
  readonly connectMs: number;
  /** From the start of a request to the head of its answer. Default 60,000. */
  readonly responseMs: number;
  /** For the next piece of an answer's body. Default 30,000. */
  readonly idleMs: number;
  /** A blob of at most this size is held in memory and sent in one request. Default 1 MiB. */
  readonly heldBytes: number;
  /**
   * The most of a larger blob that is sent in one request, for registries and proxies that bound requests; at least what the
   * registry asks for (`OCI-Chunk-Min-Length`). Default `Infinity`: all of it.
   */
  readonly chunkBytes: number;
  /** Tags of one repository. Default 100,000. */
  readonly tagsMax: number;
}

export interface OciRegistryOptions {
  /** `https://HOST[:PORT]`, with a path when its repositories lie below one: `https://ghcr.io/my-team`. */
  readonly url: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Asked again when the registry refuses what was given before. Default: anonymous. */
  readonly credentials?: OciCredentials | (() => Promise<OciCredentials | null>);
  /** Certificates (PEM) that are trusted besides the well-known authorities. */
  readonly ca?: string;
  /** Whether `http:` may be spoken: everything, the credentials included, can then be read and changed on its way. Default false. */
  readonly plainHttp?: boolean;
  /**
   * Keeps streams that are written as blobs and can be read only once, so that they can be sent again when the registry
   * forgot them. Default: none, and such a write fails as retryable.
   */
  readonly spool?: Spool;
  readonly limits?: Partial<OciLimits>;
}

/** Options that were checked. */
export interface OciSettings {
  /** Scheme, host and port. */
  readonly origin: string;
  /** Before each repository's name: empty, or ending in a slash. */
  readonly prefix: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly credentials: () => Promise<OciCredentials | null>;
  readonly ca: string | null;
  readonly plainHttp: boolean;
  readonly spool: Spool | null;
  readonly limits: OciLimits;
}

const defaultLimits: OciLimits = Object.freeze({
  attempts: 6,
  retryMs: 500,
  retryMsMax: 10_000,
  retryAfterMsMax: 60_000,
  connectMs: 10_000,
  responseMs: 60_000,
  idleMs: 30_000,
  heldBytes: 1024 * 1024,
  chunkBytes: Infinity,
  tagsMax: 100_000,
});

/** Checks options; `DINP_INVALID` without any secret in it. */
export function checkOptions(options: OciRegistryOptions): OciSettings {
  const { clock, random, credentials, ca, plainHttp = false, spool } = options;
  const { origin, prefix } = parseUrl(options.url, plainHttp);
  const limits = { ...defaultLimits, ...options.limits };
  for (const [name, value] of Object.entries(limits)) {
    if (!(value >= 1) || (value === Infinity && name !== "chunkBytes")) {
      throw new DinpError("DINP_INVALID", `The registry's limit ${name} is not a number of at least 1.`);
    }
  }
  if (ca !== undefined) assertCertificate(ca);
  const given = typeof credentials === "function" ? credentials : () => Promise.resolve(credentials ?? null);
  return {
    origin,
    prefix,
    clock,
    random,
    credentials: given,
    ca: ca ?? null,
    plainHttp,
    spool: spool ?? null,
    limits,
  };
}

function assertCertificate(ca: string): void {
  try {
    new X509Certificate(ca);
  } catch (cause) {
    throw new DinpError("DINP_INVALID", "The certificate of the registry's authority cannot be read.", {
      cause,
      hint: "Give it as PEM: -----BEGIN CERTIFICATE----- and what follows.",
      details: { field: "ca" },
    });
  }
}

function parseUrl(text: string, plainHttp: boolean): { readonly origin: string; readonly prefix: string } {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw invalidUrl("The registry's address is not an http(s) URL.", "Write it as https://HOST[:PORT].");
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw invalidUrl(
      `The registry's address ${url.host} has more in it than a host and a path.`,
      "Give credentials as such, not in the address.",
    );
  }
  if (url.protocol === "http:" && !plainHttp) {
    throw invalidUrl(
      `The registry ${url.host} would be spoken to without encryption.`,
      "Use https, or allow it with plainHttp when the network between is trusted.",
    );
  }
  const path = url.pathname.replace(/^\/+|\/+$/g, "");
  if (path !== "") assertImageRepository(path);
  return { origin: url.origin, prefix: path === "" ? "" : `${path}/` };
}

function invalidUrl(message: string, hint: string): DinpError {
  return new DinpError("DINP_INVALID", message, { hint, details: { field: "url" } });
}
