import { isIP } from "node:net";
import { DEFAULT_PATH } from "./limits.js";
import type { WebSocketLinkClientOptions } from "./options.js";

/** The servers that an agent may call, and those that it may be sent to. */
export class ServerList {
  readonly urls: readonly URL[];
  readonly #origins: ReadonlySet<string>;
  readonly #hasOwnCa: boolean;

  /** `TypeError` for a URL that is none or that is not allowed. */
  constructor({ servers, path = DEFAULT_PATH, plaintext = false, ca }: WebSocketLinkClientOptions) {
    if (servers.length === 0) throw new TypeError("An agent needs the URL of at least one server.");
    this.urls = servers.map((server) => linkUrl(server, path, plaintext));
    this.#origins = new Set(this.urls.map(({ origin }) => origin));
    this.#hasOwnCa = ca !== undefined;
  }

  /** Where a server sends the agent, or null when its key must not go there. */
  redirect(from: URL, location: string): URL | null {
    if (!URL.canParse(location, from.href)) return null;
    const url = new URL(location, from);
    if (url.username !== "" || url.password !== "") return null;
    const isProvenByCa = this.#hasOwnCa && url.protocol === "https:";
    return this.#origins.has(url.origin) || isProvenByCa ? url : null;
  }
}

/** The name that a server's certificate must be for, when it is not an address. */
export function serverNameOf({ hostname }: URL): string | undefined {
  return isIP(hostname.replace(/^\[|\]$/g, "")) === 0 ? hostname : undefined;
}

function linkUrl(server: string, path: string, plaintext: boolean): URL {
  const url = URL.canParse(server) ? new URL(server) : null;
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:"))
    throw new TypeError(`A server's URL begins with https://, not ${JSON.stringify(server.slice(0, 100))}.`);
  if (url.protocol === "http:" && !plaintext) {
    throw new TypeError(
      `${url.origin} is not encrypted: say https://, or allow plaintext for loopback and tests.`,
    );
  }
  return new URL(path, url);
}
