import {
  DinpError,
  formatTableVersion,
  prepareAcknowledgement,
  type RouterAcknowledgement,
} from "@dinp/core";
import { wordOf } from "./answer.js";
import type { TableKeys } from "./keys.js";
import type { RedisLink } from "./link.js";
import { acknowledgedScript, acknowledgementsScript, acknowledgeScript } from "./scripts.js";

const ROUTERS_MAX = 10_000;

/** The newest acknowledgement of each router, in one hash. */
export class Acknowledgements {
  readonly #link: RedisLink;
  readonly #keys: TableKeys;

  constructor(link: RedisLink, keys: TableKeys) {
    this.#link = link;
    this.#keys = keys;
  }

  /** `said` is a frozen copy. */
  async record(said: RouterAcknowledgement, signal?: AbortSignal): Promise<void> {
    const { routerId, version, busy } = said;
    const { incarnation, epoch, revision } = version;
    const text = JSON.stringify({ routerId, version: { incarnation, epoch, revision }, busy });
    const keys = [this.#keys.meta, this.#keys.acknowledgements];
    const args = [routerId, incarnation, String(epoch), String(revision), text, String(ROUTERS_MAX)];
    const answer = await this.#link.run(acknowledgeScript, keys, [...args, this.#keys.acknowledged], signal);
    const { word } = wordOf(answer);
    if (word === "future") throw futureError(said);
    if (word === "full") throw fullError();
  }

  /** One that cannot be read is left out: its router has then acknowledged nothing, which is never too much. */
  async all(signal?: AbortSignal): Promise<readonly RouterAcknowledgement[]> {
    const pairs = await this.#link.run(acknowledgementsScript, [this.#keys.acknowledgements], [], signal);
    const fields: readonly unknown[] = Array.isArray(pairs) ? pairs : [];
    return fields.flatMap((routerId, index) => {
      if (index % 2 === 1 || routerId === "") return [];
      return parseAcknowledgement(routerId, fields[index + 1]) ?? [];
    });
  }

  /** What is another text after each change of them; null when there are none. */
  async changes(signal?: AbortSignal): Promise<string | null> {
    const keys = [this.#keys.meta, this.#keys.acknowledgements];
    const answer = await this.#link.run(acknowledgedScript, keys, [], signal);
    return typeof answer === "string" ? answer : null;
  }
}

function parseAcknowledgement(routerId: unknown, text: unknown): RouterAcknowledgement | null {
  try {
    const said = JSON.parse(String(text)) as RouterAcknowledgement;
    const isWhole =
      said.routerId === routerId &&
      typeof said.version.incarnation === "string" &&
      Array.isArray(said.busy) &&
      said.busy.every((instanceId) => typeof instanceId === "string");
    return isWhole ? prepareAcknowledgement(said) : null;
  } catch {
    return null;
  }
}

function futureError({ routerId, version }: RouterAcknowledgement): DinpError {
  return new DinpError(
    "DINP_ROUTE_VERSION",
    `Router ${routerId} acknowledged ${formatTableVersion(version)}, which the table never had.`,
    { hint: "Read the table again.", details: { routerId } },
  );
}

function fullError(): DinpError {
  return new DinpError(
    "DINP_UNAVAILABLE",
    `The table already keeps acknowledgements of ${String(ROUTERS_MAX)} routers.`,
    { hint: "Give each router an id that it keeps across restarts." },
  );
}
