import { DinpError } from "../model/errors.js";
import { isInRange, parseIpAddress, parseIpRange, type IpAddress, type IpRange } from "./ip-address.js";
import { embeddedIpv4, specialPurposeOf } from "./special-addresses.js";

/** A place that an operator vouches for, though uploads would not be fetched from there otherwise. */
export interface AllowedUploadPlace {
  /** A host's name, whatever addresses it has, or addresses, whatever their names are. */
  readonly at: { readonly host: string } | { readonly range: IpRange };
  /** Null: any. */
  readonly port: number | null;
}

const NAME =
  /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?)*$/;

/**
 * `HOST`, `ADDRESS` or a range as `10.1.0.0/16`, each with `:PORT` or without; IPv6 with a port as `[fd00::5]:8081` or
 * `[fd00::/8]:8081`. `DINP_INVALID` for anything else.
 */
export function parseUploadPlace(text: string): AllowedUploadPlace {
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? plain ?? text;
  const portNumber = port === undefined ? null : Number(port);
  const range = parseIpRange(host);
  const name = host.toLowerCase().replace(/\.$/, "");
  const isPort = portNumber === null || (portNumber >= 1 && portNumber <= 65_535);
  if (isPort && range !== null) return { at: { range }, port: portNumber };
  // Digits alone would be an odd spelling of an address, which no name ever equals.
  if (isPort && bracketed === undefined && NAME.test(name) && !/(?:^|\.)(?:\d+|0x[0-9a-f]*)$/.test(name))
    return { at: { host: name }, port: portNumber };
  throw new DinpError("DINP_INVALID", `${JSON.stringify(text.slice(0, 100))} is no place of uploads.`, {
    hint: "Write it like artefacts.example.com, artefacts.example.com:8081, 10.1.2.3:8081, 10.1.0.0/16 or [fd00::5]:8081.",
  });
}

/** Where an upload's URL leads: a host by name or address, as URLs write it, and a port. */
export interface UploadPlace {
  readonly host: string;
  readonly port: number;
}

/** The place that a URL names. */
export function uploadPlaceOf(url: URL): UploadPlace {
  const host = url.hostname.replace(/^\[|\]$/g, "").replace(/\.$/, "");
  const standard = url.protocol === "https:" ? 443 : 80;
  return { host, port: url.port === "" ? standard : Number(url.port) };
}

/**
 * What is wrong with an address that a place has, such as "a private address"; null when an upload may come from there.
 * `own`: the machine's own addresses, which are as private as its loopback. What cannot be read as an address is refused.
 */
export function uploadAddressRefusal(
  place: UploadPlace,
  addressText: string,
  allowed: readonly AllowedUploadPlace[],
  own: readonly string[],
): string | null {
  const address = parseIpAddress(addressText);
  if (address === null) return "no address that can be checked";
  const meant = embeddedIpv4(address) ?? address;
  if (allowed.some((one) => covers(one, place, address) || covers(one, place, meant))) return null;
  const isOwn = own.some((text) => isSame(parseIpAddress(text), meant));
  return specialPurposeOf(meant) ?? (isOwn ? "an address of this machine" : null);
}

function covers({ at, port }: AllowedUploadPlace, place: UploadPlace, address: IpAddress): boolean {
  if (port !== null && port !== place.port) return false;
  return "range" in at ? isInRange(address, at.range) : at.host === place.host;
}

function isSame(one: IpAddress | null, other: IpAddress): boolean {
  return one?.length === other.length && one.every((byte, i) => byte === other[i]);
}
