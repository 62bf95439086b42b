import type { LookupFunction } from "node:net";
import { isIP } from "node:net";
import { createSecureContext, rootCertificates } from "node:tls";
import { uploadAddressRefusal, uploadPlaceOf } from "@dinp/core";
import type { Client, Dispatcher } from "undici";
import { forbidden, lookupError, networkError, timeout } from "./errors.js";
import type { FetchSettings } from "./upload-fetcher.js";
import type { Waits } from "./waits.js";

const HEAD_BYTES_MAX = 16 * 1024;

/** An answer, its body not yet read. */
export interface Reply {
  readonly status: number;
  readonly location: string | null;
  /** What the server says; null when it does not. */
  readonly contentLength: number | null;
  readonly body: AsyncIterable<Uint8Array>;
}

/** A connection for one request, to addresses that were checked and to no other. Ends with its waits. */
export class PinnedConnection {
  readonly #url: URL;
  readonly #client: Client;
  readonly #settings: FetchSettings;
  readonly #waits: Waits;

  /** Looks the host up, once. `DINP_FORBIDDEN` unless all that it leads to may be asked. Connects to nothing yet. */
  static async to(url: URL, settings: FetchSettings, waits: Waits): Promise<PinnedConnection> {
    const place = uploadPlaceOf(url);
    const addresses = await addressesOf(place.host, settings, waits);
    const own = settings.ownAddresses();
    for (const address of addresses) {
      const refusal = uploadAddressRefusal(place, address, settings.allow, own);
      if (refusal !== null) throw forbidden(place, refusal);
    }
    // Loaded here: it takes a tenth of a second, and few platforms fetch anything.
    const undici = await import("undici");
    return new PinnedConnection(undici, url, addresses, settings, waits);
  }

  private constructor(
    undici: Pick<typeof import("undici"), "Client">,
    url: URL,
    addresses: readonly string[],
    settings: FetchSettings,
    waits: Waits,
  ) {
    this.#url = url;
    this.#settings = settings;
    this.#waits = waits;
    const { ca, limits } = settings;
    this.#client = new undici.Client(url.origin, {
      allowH2: false,
      maxHeaderSize: HEAD_BYTES_MAX,
      // The waits have bounds of their own.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: {
        timeout: limits.connectMs,
        // The name stays that of the request and of the certificate; only its lookup is answered from here.
        lookup: pinned(addresses),
        ...(ca === null ? {} : { secureContext: createSecureContext({ ca: [...rootCertificates, ca] }) }),
      },
    });
    waits.signal.addEventListener("abort", this.#onFailure);
    if (waits.signal.aborted) this.#onFailure();
  }

  /** Asks for the URL. */
  async get(): Promise<Reply> {
    const { hostname, pathname, search } = this.#url;
    const { connectMs, headersMs } = this.#settings.limits;
    try {
      const asked = this.#client.request({
        method: "GET",
        path: `${pathname}${search}`,
        headers: { accept: "*/*", "accept-encoding": "identity", "user-agent": "dinp" },
        signal: this.#waits.signal,
      });
      const late = timeout(`${hostname} did not answer in time.`);
      return this.#reply(await this.#waits.wait(asked, connectMs + headersMs, late));
    } catch (error) {
      throw networkError(hostname, error);
    }
  }

  /** Ends the connection, whatever is still on its way. Idempotent. */
  end(): void {
    this.#waits.signal.removeEventListener("abort", this.#onFailure);
    void this.#client.destroy().catch(() => undefined);
  }

  readonly #onFailure = (): void => {
    this.end();
  };

  #reply({ statusCode, headers, body }: Dispatcher.ResponseData): Reply {
    const length = headers["content-length"];
    const { location } = headers;
    // A body that nobody reads fails when its connection ends; unheard, that would end the process.
    body.on("error", () => undefined);
    return {
      status: statusCode,
      location: typeof location === "string" ? location : null,
      contentLength: typeof length === "string" ? Number(length) : null,
      body: this.#pieces(body),
    };
  }

  async *#pieces(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for await (const piece of body) yield piece;
    } catch (error) {
      throw networkError(this.#url.hostname, error);
    }
  }
}

/** URL has turned every spelling of an address into the usual one: there is nothing to look up. */
async function addressesOf(host: string, settings: FetchSettings, waits: Waits): Promise<readonly string[]> {
  if (isIP(host) !== 0) return [host];
  const late = timeout(`The name ${host} could not be looked up in time.`);
  try {
    const addresses = await waits.wait(settings.resolve(host), settings.limits.connectMs, late);
    if (addresses.length > 0) return addresses;
  } catch (error) {
    if (error === waits.signal.reason) throw error;
    throw lookupError(host, error);
  }
  throw lookupError(host, Object.assign(new Error("no address"), { code: "ENOTFOUND" }));
}

/** A lookup that always gives these addresses. */
function pinned(addresses: readonly string[]): LookupFunction {
  const found = addresses.map((address) => ({ address, family: isIP(address) }));
  return (_host, options, done) => {
    const [first] = found;
    if (options.all === true) done(null, found);
    else if (first !== undefined) done(null, first.address, first.family);
  };
}
