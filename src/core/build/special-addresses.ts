import { isInRange, parseIpRange, type IpAddress, type IpRange } from "./ip-address.js";

const privateAddress = "a private address";
const linkLocal = "a link-local address";
const loopback = "a loopback address";
const reserved = "a reserved address";
const documentation = "an address for documentation";
const multicast = "a multicast address";
const tunnel = "an address of a tunnel into IPv4";

/** The special-purpose registries of IANA (RFC 6890), without what is reachable by everyone. */
const special: readonly (readonly [IpRange, string])[] = (
  [
    ["0.0.0.0/8", "an address that means this machine"],
    ["10.0.0.0/8", privateAddress],
    ["100.64.0.0/10", "an address inside a provider's network"],
    ["127.0.0.0/8", loopback],
    // Cloud providers tell a machine its credentials there.
    ["169.254.0.0/16", linkLocal],
    ["168.63.129.16/32", "an address of the cloud's own services"],
    ["172.16.0.0/12", privateAddress],
    ["192.0.0.0/24", reserved],
    ["192.0.2.0/24", documentation],
    ["192.88.99.0/24", reserved],
    ["192.168.0.0/16", privateAddress],
    ["198.18.0.0/15", reserved],
    ["198.51.100.0/24", documentation],
    ["203.0.113.0/24", documentation],
    ["224.0.0.0/4", multicast],
    ["240.0.0.0/4", reserved],
    ["::/128", "an address that means this machine"],
    ["::1/128", loopback],
    ["2001::/32", tunnel],
    ["2001:db8::/32", documentation],
    ["2001::/23", reserved],
    ["2002::/16", tunnel],
    ["3fff::/20", documentation],
    ["fc00::/7", privateAddress],
    ["fe80::/10", linkLocal],
    ["fec0::/10", privateAddress],
    ["ff00::/8", multicast],
  ] as const
).map(([text, kind]) => [rangeOf(text), kind]);

/** Ways to write an IPv4 address in IPv6 that lead to it: mapped ones, and those of NAT64 (RFC 6052). */
const embeddings = ["::ffff:0:0/96", "64:ff9b::/96"].map(rangeOf);
/** Where IPv6 addresses for everyone are given out. */
const globalUnicast = rangeOf("2000::/3");

/** The IPv4 address that an IPv6 address is only another spelling of; null without one. */
export function embeddedIpv4(address: IpAddress): IpAddress | null {
  return embeddings.some((range) => isInRange(address, range)) ? address.slice(12) : null;
}

/** What an address is that leads elsewhere than to one machine of the public internet; null for one that does. */
export function specialPurposeOf(address: IpAddress): string | null {
  const ipv4 = embeddedIpv4(address);
  if (ipv4 !== null) return specialPurposeOf(ipv4);
  const found = special.find(([range]) => isInRange(address, range));
  if (found !== undefined) return found[1];
  return address.length === 16 && !isInRange(address, globalUnicast) ? reserved : null;
}

function rangeOf(text: string): IpRange {
  const range = parseIpRange(text);
  if (range === null) throw new TypeError(`${text} is no range of addresses`);
  return range;
}
