import { DinpError } from "../model/errors.js";
import { isHostName, normalizeHost } from "../model/names.js";
import { limits } from "../model/defaults.js";
import { printable, quoted } from "./text.js";
import type { DomainRequest, ReleaseRequest } from "./requests.js";
import type { DomainView } from "./views.js";

function invalid(field: string, message: string, hint?: string): DinpError {
  return new DinpError("DINP_INVALID", message, {
    ...(hint === undefined ? {} : { hint }),
    details: { field },
  });
}

/** Throws `DINP_INVALID` unless `value` is a whole number within the bounds (both inclusive). */
export function assertInteger(field: string, value: number, min: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return;
  const range = `a whole number from ${String(min)} to ${String(max)}`;
  throw invalid(field, `${field} is ${printable(String(value), 40)}; it must be ${range}.`);
}

export function assertInstances(value: number): void {
  assertInteger("instances", value, 0, limits.instancesMax);
}

/** Throws `DINP_INVALID` unless the sizes that the request names are within bounds. */
export function assertSizes(request: Pick<ReleaseRequest, "instances" | "memoryMb" | "cpuMillis">): void {
  if (request.instances !== undefined) assertInstances(request.instances);
  if (request.memoryMb !== undefined) {
    assertInteger("memoryMb", request.memoryMb, limits.memoryMbMin, limits.memoryMbMax);
  }
  if (request.cpuMillis !== undefined) {
    assertInteger("cpuMillis", request.cpuMillis, limits.cpuMillisMin, limits.cpuMillisMax);
  }
}

/** Throws `DINP_INVALID` unless the key can be an idempotency key. */
export function assertIdempotencyKey(key: string): void {
  if (/^[\x20-\x7e]{1,200}$/.test(key)) return;
  throw invalid("idempotencyKey", "The idempotency key must be 1 to 200 printable ASCII characters.");
}

const PATH = /^(?:\/[A-Za-z0-9._~-]+)+$/;
const KEY_LENGTH_MAX = 255;

/**
 * The domain in the form that routes use. `DINP_INVALID` unless it is a host name (RFC 1123, not an IP address) that
 * is not under the platform's own domain, with a plain path.
 */
export function parseDomain(request: DomainRequest, appsDomain: string): DomainView {
  const host = parseDomainHost(request.host);
  const own = appsDomain.toLowerCase();
  if (host === own || host.endsWith(`.${own}`)) {
    throw invalid(
      "host",
      `The host ${quoted(host)} belongs to the platform: every app answers at NAME.${own} by itself.`,
      "Add a domain of your own, or name an app so.",
    );
  }
  const path = parseDomainPath(request.path ?? "/");
  if (host.length + path.length > KEY_LENGTH_MAX) {
    throw invalid("path", `Host and path are longer than ${String(KEY_LENGTH_MAX)} characters together.`);
  }
  return { host, path };
}

function parseDomainHost(given: string): string {
  const host = given.includes(":") ? null : normalizeHost(given);
  const isAddress = host !== null && /(?:^|\.)[0-9]+$/.test(host);
  if (host !== null && isHostName(host) && !isAddress) return host;
  throw invalid(
    "host",
    `${quoted(given)} is not a host name.`,
    "Write it like www.example.org: at least two parts, without scheme, port, path or '*'; letters beyond a-z in their xn-- form.",
  );
}

function parseDomainPath(given: string): string {
  const path = /[^/]\/$/.test(given) ? given.slice(0, -1) : given;
  const isPlain = PATH.test(path) && !path.split("/").some((part) => part === "." || part === "..");
  if (path === "/" || isPlain) return path;
  throw invalid(
    "path",
    `${quoted(given)} is not a path prefix.`,
    "Write it like / or /shop (A-Z a-z 0-9 . _ ~ - between slashes).",
  );
}
