import { isIPv4, isIPv6 } from "node:net";

/** Where an endpoint listens. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

const HOST_NAME =
  /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*$/;

/** `10.0.0.5:8080`, `[2001:db8::5]:8080` or `name:8080`; else what is wrong with it, for people. */
export function parseAddress(text: string): Address | string {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):([0-9]*)$/.exec(text);
  if (match === null) return 'must be "HOST:PORT", such as "10.0.0.5:8080" or "[2001:db8::5]:8080"';
  const [, literal, name, digits = ""] = match;
  const port = Number(digits);
  if (digits === "" || digits.length > 5 || port < 1 || port > 65_535)
    return "has a port that is not 1 to 65535";
  if (literal !== undefined) {
    return isIPv6(literal) ? { host: literal, port } : "has no IPv6 address between its brackets";
  }
  const host = name ?? "";
  const looksNumeric = /^[0-9.]+$/.test(host);
  if (looksNumeric ? isIPv4(host) : host.length <= 253 && HOST_NAME.test(host)) return { host, port };
  return "has a host that is neither an IP address nor a name";
}

export function formatAddress({ host, port }: Address): string {
  return `${host.includes(":") ? `[${host}]` : host}:${String(port)}`;
}
