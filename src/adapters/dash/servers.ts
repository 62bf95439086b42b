import { DinpError } from "@dinp/core";

/** The servers of the API, with the one in front that answered last, or that the others named as leading. */
export class Servers {
  readonly #bases: readonly URL[];
  #first: URL;

  /** `DINP_INVALID` for what is no http(s) URL, and when there is none. */
  constructor(urls: readonly string[]) {
    this.#bases = urls.map(baseOf);
    const [first] = this.#bases;
    if (first === undefined)
      throw new DinpError("DINP_INVALID", "There is no server whose API could be asked.");
    this.#first = first;
  }

  /** All, in the order in which they are to be tried. */
  inTurn(): readonly URL[] {
    const others = this.#bases.filter((base) => base.href !== this.#first.href);
    return [this.#first, ...others];
  }

  /** The next call is sent there first. */
  prefer(base: URL): void {
    this.#first = base;
  }
}

/** The URL of a call at a server, whose own URL may have a path. */
export function urlAt(base: URL, target: string): URL {
  return new URL(`${base.origin}${base.pathname.replace(/\/$/, "")}${target}`);
}

function baseOf(url: string): URL {
  const base = URL.canParse(url) ? new URL(url) : null;
  if (base === null || !/^https?:$/.test(base.protocol) || base.username !== "" || base.search !== "") {
    throw new DinpError(
      "DINP_INVALID",
      `The server ${JSON.stringify(url.slice(0, 200))} is not the http(s) URL of an API.`,
      { hint: "Write it like https://10.0.0.5:7070, without credentials." },
    );
  }
  return base;
}
