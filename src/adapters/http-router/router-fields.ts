import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { BlockList, isIP, isIPv4 } from "node:net";
import { type AddedFields, DinpError, normalizeHost } from "@dinp/core";
import type { CheckedRequest } from "./check-request.js";

/** The field in which routers write their ids, so that a request that comes round is seen. */
export const VIA_FIELD = "x-dinp-via";

/** Routers that a request may pass. */
const HOPS_MAX = 8;

/** Who may say where a request came from. */
export class TrustedProxies {
  readonly #list = new BlockList();

  /** `proxies`: IP addresses, or networks such as `10.0.0.0/8`. `DINP_INVALID` for anything else. */
  constructor(proxies: readonly string[]) {
    for (const proxy of proxies) this.#add(proxy);
  }

  has(address: string): boolean {
    return isIP(address) !== 0 && this.#list.check(address, familyOf(address));
  }

  #add(proxy: string): void {
    const [address = "", prefix] = proxy.split("/");
    const bits = isIPv4(address) ? 32 : 128;
    const length = prefix === undefined ? bits : Number(prefix);
    if (isIP(address) === 0 || !Number.isInteger(length) || length < 0 || length > bits) {
      throw new DinpError("DINP_INVALID", `The trusted proxy ${JSON.stringify(proxy)} is not an address.`, {
        hint: "Write an IP address or a network such as 10.0.0.0/8.",
      });
    }
    this.#list.addSubnet(address, length, familyOf(address));
  }
}

/** The client's address as routers write it: an IPv4 address without its IPv6 prefix. */
export function clientAddress(request: IncomingMessage): string {
  const address = request.socket.remoteAddress ?? "";
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}

/** The client's own request id when it is one that can be trusted in a log; a new one otherwise. */
export function requestIdOf(request: IncomingMessage): string {
  const given = request.headers["x-request-id"];
  return typeof given === "string" && /^[A-Za-z0-9_.:+/=@-]{1,128}$/.test(given) ? given : randomUUID();
}

/** True when the request has passed this router before, or too many. */
export function hasComeRound(request: IncomingMessage, routerId: string): boolean {
  const hops = viaOf(request);
  return hops.includes(routerId) || hops.length >= HOPS_MAX;
}

/** The client's fields without those that only a router may set, however they are spelled. */
export function clientFields(raw: readonly string[]): string[] {
  const fields: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? "";
    if (!isRoutersOwn(name.toLowerCase())) fields.push(name, raw[i + 1] ?? "");
  }
  return fields;
}

/** The fields that the router adds: who asks, how, for which host, and the request's id. */
export function routerFields(
  request: IncomingMessage,
  checked: CheckedRequest,
  context: { readonly requestId: string; readonly routerId: string; readonly trusted: TrustedProxies },
): AddedFields {
  const address = clientAddress(request);
  const told = context.trusted.has(address) ? request.headers : {};
  const chain = textOf(told["x-forwarded-for"]);
  const proto = textOf(told["x-forwarded-proto"]).toLowerCase();
  const host = textOf(told["x-forwarded-host"]);
  return {
    "X-Forwarded-For": chain === "" ? address : `${chain}, ${address}`,
    "X-Forwarded-Proto": proto === "https" ? "https" : "http",
    "X-Forwarded-Host": normalizeHost(host) === null ? checked.hostField : host,
    "X-Request-Id": context.requestId,
    "X-Dinp-Via": [...viaOf(request), context.routerId].join(", "),
  };
}

/** `_` counts as `-`: gateways of the CGI kind (WSGI, Rack, PHP) cannot tell them apart. */
function isRoutersOwn(name: string): boolean {
  const key = name.replaceAll("_", "-");
  return (
    key === "forwarded" ||
    key === "x-real-ip" ||
    key === "x-request-id" ||
    key.startsWith("x-forwarded-") ||
    key.startsWith("x-dinp-") ||
    (name.includes("_") && (key === "content-length" || key === "transfer-encoding" || key === "host"))
  );
}

function viaOf(request: IncomingMessage): string[] {
  const via = textOf(request.headers[VIA_FIELD]);
  return via === "" ? [] : via.split(",").map((hop) => hop.trim());
}

function textOf(value: string | string[] | undefined): string {
  return typeof value === "string" ? value : (value ?? []).join(", ");
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return isIPv4(address) ? "ipv4" : "ipv6";
}
