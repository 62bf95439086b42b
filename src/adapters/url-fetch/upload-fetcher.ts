import { lookup } from "node:dns/promises";
import { networkInterfaces } from "node:os";
import { checkUploadUrl, shownUrl } from "@dinp/core";
import type { AllowedUploadPlace, UploadFetcher } from "@dinp/core";
import { redirectError, statusError, timeout, tooLarge } from "./errors.js";
import { PinnedConnection, type Reply } from "./pinned-connection.js";
import { Waits } from "./waits.js";

/** Bounds of one fetch, in milliseconds but for the last. */
export interface UploadFetchLimits {
  /** Of looking a host up, and again of connecting to it. Default 10,000. */
  readonly connectMs: number;
  /** From the request to the end of the answer's head. Default 30,000. */
  readonly headersMs: number;
  /** The longest wait for the next piece. Default 30,000. */
  readonly idleMs: number;
  /** Of all of it. Default 15 minutes. */
  readonly totalMs: number;
  /** Default 5. */
  readonly redirectsMax: number;
}

/** The addresses of a host's name; rejects as `dns.lookup` does. */
export type HostResolver = (host: string) => Promise<readonly string[]>;

export interface UploadFetcherOptions {
  /** Places that uploads may come from besides the public internet. Default: none. */
  readonly allow?: readonly AllowedUploadPlace[];
  readonly limits?: Partial<UploadFetchLimits>;
  /** Default: the system's. */
  readonly resolve?: HostResolver;
  /** The machine's own addresses, which uploads may not come from. Default: the system's. */
  readonly ownAddresses?: () => readonly string[];
  /** Certificates (PEM) of authorities that are trusted besides the well-known ones. */
  readonly ca?: string;
}

/** What {@link UploadFetcherOptions} come to. */
export interface FetchSettings extends Required<Omit<UploadFetcherOptions, "limits" | "ca">> {
  readonly limits: UploadFetchLimits;
  readonly ca: string | null;
}

const defaultLimits: UploadFetchLimits = {
  connectMs: 10_000,
  headersMs: 30_000,
  idleMs: 30_000,
  totalMs: 900_000,
  redirectsMax: 5,
};

/**
 * An {@link UploadFetcher} over HTTP/1.1 that asks only places of the public internet and those that are allowed. A name is
 * looked up once for each request; every address that it has must be allowed, and the connection goes to those and
 * no other, so that a name that changes its address in between gains nothing. No proxy of the environment is used.
 */
export function createUploadFetcher(options: UploadFetcherOptions = {}): UploadFetcher {
  const settings: FetchSettings = {
    allow: options.allow ?? [],
    limits: { ...defaultLimits, ...options.limits },
    resolve: options.resolve ?? resolveBySystem,
    ownAddresses: options.ownAddresses ?? addressesOfMachine,
    ca: options.ca ?? null,
  };
  return { fetch: (url, fetchOptions) => fetchUpload(settings, url, fetchOptions) };
}

async function resolveBySystem(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true, verbatim: true })).map(({ address }) => address);
}

function addressesOfMachine(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((all = []) => all.map(({ address }) => address));
}

async function* fetchUpload(
  settings: FetchSettings,
  url: URL,
  options: Parameters<UploadFetcher["fetch"]>[1],
): AsyncGenerator<Uint8Array, void, undefined> {
  const { bytesMax, log = () => undefined, signal } = options;
  const { totalMs, idleMs } = settings.limits;
  const late = timeout(`Fetching ${shownUrl(url)} took longer than ${seconds(totalMs)}.`);
  const waits = new Waits(totalMs, late, signal);
  try {
    const { place, reply } = await followed(settings, checkUploadUrl(url), waits, log);
    if (reply.contentLength !== null && reply.contentLength > bytesMax) throw tooLarge(place, bytesMax);
    const pieces = reply.body[Symbol.asyncIterator]();
    const stopped = timeout(`${place.hostname} stopped sending: nothing came for ${seconds(idleMs)}.`);
    for (let bytes = 0; ;) {
      const next = await waits.wait(pieces.next(), idleMs, stopped);
      if (next.done === true) return;
      bytes += next.value.length;
      if (bytes > bytesMax) throw tooLarge(place, bytesMax);
      yield next.value;
    }
  } finally {
    waits.end();
  }
}

/** The first answer that is no redirect. Each place is checked before it is connected to. */
async function followed(
  settings: FetchSettings,
  url: URL,
  waits: Waits,
  log: (line: string) => void,
): Promise<{ readonly place: URL; readonly reply: Reply }> {
  let place = url;
  for (let redirects = 0; ; redirects += 1) {
    log(`${redirects === 0 ? "fetching" : "redirected to"}: ${shownUrl(place)}`);
    const connection = await PinnedConnection.to(place, settings, waits);
    const reply = await connection.get();
    if (reply.status === 200) return { place, reply };
    connection.end();
    if (![301, 302, 303, 307, 308].includes(reply.status)) throw statusError(place, reply.status);
    if (redirects === settings.limits.redirectsMax) {
      throw redirectError(url, "redirects without end", "Give the URL that it leads to at last.");
    }
    place = redirectedTo(place, reply.location);
  }
}

function redirectedTo(from: URL, location: string | null): URL {
  if (location === null || !URL.canParse(location, from.href)) {
    throw redirectError(from, "redirects to no URL", "Give the URL of the file itself.");
  }
  const url = checkUploadUrl(new URL(location, from));
  if (from.protocol === "https:" && url.protocol === "http:") {
    const hint = "Give the http:// URL itself, if what is fetched may be changed on its way.";
    throw redirectError(from, `redirects to ${url.host} without encryption`, hint);
  }
  return url;
}

function seconds(ms: number): string {
  return `${String(ms / 1000)} s`;
}
