/** The bytes of an IP address, most significant first: 4 of IPv4, 16 of IPv6. */
export type IpAddress = readonly number[];

/** The addresses that share their first `prefixBits` bits. */
export interface IpRange {
  readonly address: IpAddress;
  readonly prefixBits: number;
}

/** Four decimal numbers, or IPv6 as RFC 4291 section 2.2 writes it (a zone is left out of account); null for anything else. */
export function parseIpAddress(text: string): IpAddress | null {
  return parseIpv4(text) ?? parseIpv6(text.replace(/%.*$/, ""));
}

/** `10.0.0.0/8`, `fd00::/8`, or one address; null for anything else, and where bits are set beyond the prefix. */
export function parseIpRange(text: string): IpRange | null {
  const [, host = "", bits] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const address = parseIpAddress(host);
  if (address === null) return null;
  const bitsMax = 8 * address.length;
  const range = { address, prefixBits: bits === undefined ? bitsMax : Number(bits) };
  if (range.prefixBits > bitsMax) return null;
  return address.every((byte, i) => (byte & ~maskOf(range.prefixBits, i)) === 0) ? range : null;
}

export function isInRange(address: IpAddress, range: IpRange): boolean {
  if (address.length !== range.address.length) return false;
  return range.address.every((byte, i) => byte === ((address[i] ?? 0) & maskOf(range.prefixBits, i)));
}

/** Of the byte at `index`, the bits that belong to a prefix. */
function maskOf(prefixBits: number, index: number): number {
  const bits = Math.min(8, Math.max(0, prefixBits - 8 * index));
  return (0xff << (8 - bits)) & 0xff;
}

function parseIpv4(text: string): IpAddress | null {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part))) return null;
  const bytes = parts.map(Number);
  return bytes.every((byte) => byte <= 255) ? bytes : null;
}

function parseIpv6(text: string): IpAddress | null {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const [before, after] = [bytesOf(halves[0] ?? "", halves.length === 1), bytesOf(halves[1] ?? "", true)];
  if (before === null || after === null) return null;
  const missing = 16 - before.length - after.length;
  // `::` stands for one group of zeros at least.
  if (halves.length === 1 ? missing !== 0 : missing < 2) return null;
  return [...before, ...new Array<number>(missing).fill(0), ...after];
}

/** The bytes of groups with `:` between, of which the last may be an IPv4 address when it `isLast`. */
function bytesOf(groups: string, isLast: boolean): IpAddress | null {
  if (groups === "") return [];
  const parts = groups.split(":");
  const bytes: number[] = [];
  for (const [i, part] of parts.entries()) {
    const ipv4 = isLast && i === parts.length - 1 ? parseIpv4(part) : null;
    if (ipv4 !== null) bytes.push(...ipv4);
    else if (/^[0-9a-f]{1,4}$/i.test(part)) bytes.push(parseInt(part, 16) >> 8, parseInt(part, 16) & 0xff);
    else return null;
  }
  return bytes;
}
