import { DinpError } from "./errors.js";

const DNS_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Throws `DINP_INVALID` unless `name` is a lower-case DNS label (RFC 1123: 1–63 of `a-z 0-9 -`, no `-` at either end). */
export function assertAppName(name: string): void {
  if (DNS_LABEL.test(name)) return;
  throw new DinpError(
    "DINP_INVALID",
    `The app name ${JSON.stringify(name.slice(0, 80))} is not a DNS label.`,
    {
      hint: "Use 1 to 63 of a-z, 0-9 and '-', not beginning or ending with '-'.",
      details: { field: "name" },
    },
  );
}

/** Throws `DINP_INVALID` unless `id` can name a node: 1 to 63 of `a-z 0-9 . _ -`, beginning and ending with a letter or digit. */
export function assertNodeId(id: string): void {
  if (/^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/.test(id)) return;
  throw new DinpError("DINP_INVALID", `${JSON.stringify(id.slice(0, 80))} cannot name a node.`, {
    hint: "Use 1 to 63 of a-z, 0-9, '.', '_' and '-', beginning and ending with a letter or digit.",
    details: { field: "nodeId" },
  });
}

/** Throws `DINP_INVALID` unless `id` can name a router: 1 to 64 of `A-Z a-z 0-9 . _ -`, beginning with a letter or digit. */
export function assertRouterId(id: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(id)) return;
  throw new DinpError("DINP_INVALID", `${JSON.stringify(id.slice(0, 80))} cannot name a router.`, {
    hint: "Use 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-', beginning with a letter or digit.",
    details: { field: "id" },
  });
}

/** True for a host name of DNS labels with at least two of them (253 characters at most). */
export function isHostName(host: string): boolean {
  const labels = host.split(".");
  return host.length <= 253 && labels.length >= 2 && labels.every((label) => DNS_LABEL.test(label));
}

/**
 * The host of a `Host` field in the form that routes use: lower case, without port and without one trailing dot;
 * null when it is not a host (RFC 9110 section 7.2, RFC 3986 section 3.2.2). IPv6 literals keep their brackets.
 */
export function normalizeHost(field: string): string | null {
  const match = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+?)\.?(?::([0-9]{0,5}))?$/.exec(field);
  if (match?.[1] === undefined) return null;
  if (match[2] !== undefined && Number(match[2]) > 65535) return null;
  return match[1].toLowerCase();
}
