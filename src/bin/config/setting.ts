import { DinpError, messageOf } from "@dinp/core";

/** One value of a program's configuration: what it is called is where it stands in its {@link Settings}. */
export interface Setting<T> {
  /** One sentence for people, in the present tense and without a full stop. */
  readonly doc: string;
  /** What is written for the value, such as `HOST:PORT`. */
  readonly form: string;
  /** As text; null when there is none, and the value must be given unless it is {@link Setting.optional}. */
  readonly default: string | null;
  readonly optional: boolean;
  /** May also be read from a file (`…File`), and is never shown. */
  readonly secret: boolean;
  /** Several, separated by commas (in a file also as a list). */
  readonly list: boolean;
  /** The value of a text. Throws an Error that says what the text must be; the text itself is added by the caller. */
  readonly parse: (text: string) => T;
}

/** Settings by section and name. */
export type Settings = Readonly<Record<string, Readonly<Record<string, Setting<unknown>>>>>;

/** What is read of {@link Settings}. */
export type ValuesOf<S extends Settings> = {
  readonly [Section in keyof S]: {
    readonly [Name in keyof S[Section]]: S[Section][Name] extends Setting<infer T> ? T : never;
  };
};

interface Common {
  readonly doc: string;
  readonly form?: string;
  readonly default?: string;
  readonly secret?: boolean;
}

function setting<T>(form: string, common: Common, parse: (text: string) => T): Setting<T> {
  const { doc, secret = false } = common;
  return {
    ...{ doc, secret, parse, list: false, optional: false },
    form: common.form ?? form,
    default: common.default ?? null,
  };
}

/** The same, or null when it is not given. */
export function optional<T>(of: Setting<T>): Setting<T | null> {
  return { ...of, optional: true };
}

/** Several of them; none when it is not given. */
export function listOf<T>(of: Setting<T>): Setting<readonly T[]> {
  const parse = (text: string): readonly T[] =>
    text
      .split(",")
      .map((item) => item.trim())
      .filter((item) => item !== "")
      .map((item) => of.parse(item));
  return { ...of, parse, form: `${of.form},…`, list: true, default: of.default ?? "" };
}

export function text(common: Common): Setting<string> {
  return setting("TEXT", common, (value) => {
    if (value !== "") return value;
    throw new Error("must not be empty");
  });
}

/** A text of a form that a regular expression knows, told in words. */
export function textLike(pattern: RegExp, words: string, common: Common): Setting<string> {
  return setting("TEXT", common, (value) => {
    if (pattern.test(value)) return value;
    throw new Error(`must be ${words}`);
  });
}

export function choice<const T extends string>(of: readonly T[], common: Common): Setting<T> {
  return setting(of.join("|"), common, (value) => {
    const found = of.find((candidate) => candidate === value);
    if (found !== undefined) return found;
    throw new Error(`must be one of ${of.join(", ")}`);
  });
}

export function flag(common: Common): Setting<boolean> {
  return setting("true|false", { default: "false", ...common }, (value) => {
    if (value === "true" || value === "false") return value === "true";
    throw new Error("must be true or false");
  });
}

export function integer(
  bounds: { readonly min: number; readonly max: number },
  common: Common,
): Setting<number> {
  const { min, max } = bounds;
  return setting("N", common, (value) => {
    const number = /^-?\d{1,15}$/.test(value) ? Number(value) : NaN;
    if (number >= min && number <= max) return number;
    throw new Error(`must be a whole number from ${String(min)} to ${String(max)}`);
  });
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Milliseconds, written as `500ms`, `10s`, `5m` or `24h`. */
export function duration(
  bounds: { readonly minMs: number; readonly maxMs: number },
  common: Common,
): Setting<number> {
  const { minMs, maxMs } = bounds;
  return setting("DURATION", common, (value) => {
    const [, count = "", unit = ""] = /^(\d{1,9})(ms|s|m|h)$/.exec(value) ?? [];
    const ms = count === "" ? NaN : Number(count) * (UNITS[unit] ?? NaN);
    if (ms >= minMs && ms <= maxMs) return ms;
    const range = `${shownDuration(minMs)} to ${shownDuration(maxMs)}`;
    throw new Error(`must be a duration such as 500ms, 10s or 5m, from ${range}`);
  });
}

function shownDuration(ms: number): string {
  const unit = ["h", "m", "s"].find((name) => ms > 0 && ms % (UNITS[name] ?? 1) === 0) ?? "ms";
  return `${String(ms / (UNITS[unit] ?? 1))}${unit}`;
}

/** Where something listens. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** Whether it is every address of the machine: others cannot go by that. */
export function isEveryAddress({ host }: HostPort): boolean {
  return host === "0.0.0.0" || host === "::";
}

/** `HOST:PORT`, `[IPv6]:PORT`, or a port alone (then 127.0.0.1). */
export function hostPort(common: Common): Setting<HostPort> {
  return setting("HOST:PORT", common, (value) => {
    const match = /^(?:(\[[0-9a-f:.]+\]|[a-z0-9._-]+)?:)?(\d{1,5})$/i.exec(value);
    const port = Number(match?.[2]);
    if (match !== null && port <= 65_535)
      return { host: (match[1] ?? "127.0.0.1").replace(/^\[|\]$/g, ""), port };
    throw new Error("must be HOST:PORT, such as 127.0.0.1:8080");
  });
}

/** A URL of one of these schemes (without the colon). */
export function url(schemes: readonly string[], common: Common): Setting<string> {
  const shown = schemes.map((scheme) => `${scheme}://`).join(" or ");
  return setting("URL", common, (value) => {
    const parsed = URL.canParse(value) ? new URL(value) : null;
    if (parsed !== null && schemes.includes(parsed.protocol.slice(0, -1))) return value;
    throw new Error(`must be a URL that begins with ${shown}`);
  });
}

/** A port range, such as `20000-29999`. */
export function portRange(common: Common): Setting<{ readonly first: number; readonly last: number }> {
  return setting("FIRST-LAST", common, (value) => {
    const [, first, last] = (/^(\d{1,5})-(\d{1,5})$/.exec(value) ?? []).map(Number);
    if (first !== undefined && last !== undefined && first >= 1 && first <= last && last <= 65_535)
      return { first, last };
    throw new Error("must be a range of ports, such as 20000-29999");
  });
}

/** `labels` of a node: `name=value` each. */
export function pair(common: Common): Setting<readonly [string, string]> {
  return setting("NAME=VALUE", common, (value) => {
    const [, name, of] = /^([A-Za-z0-9][A-Za-z0-9._/-]{0,62})=([A-Za-z0-9._-]{0,63})$/.exec(value) ?? [];
    if (name !== undefined && of !== undefined) return [name, of] as const;
    throw new Error("must be NAME=VALUE, such as zone=a");
  });
}

/** A value that was read, as it would be written. */
export function shownValue({ form, list }: Pick<Setting<unknown>, "form" | "list">, value: unknown): string {
  if (list && Array.isArray(value)) {
    const items = value.map((item: unknown) =>
      shownValue({ form: form.replace(/,…$/, ""), list: false }, item),
    );
    return items.length === 0 ? "none" : items.join(",");
  }
  if (typeof value === "number" && form === "DURATION") return shownDuration(value);
  if (typeof value === "object" && value !== null) {
    if ("host" in value && "port" in value) {
      const host = String(value.host);
      return `${host.includes(":") ? `[${host}]` : host}:${String(value.port)}`;
    }
    if ("first" in value && "last" in value) return `${String(value.first)}-${String(value.last)}`;
    if (Array.isArray(value)) return value.join("=");
  }
  return JSON.stringify(value);
}

/** A value that another setting makes impossible. */
export function conflict(key: string, why: string): DinpError {
  return new DinpError("DINP_INVALID", `${key} ${why}.`, { details: { key } });
}

/** What an error of {@link Setting.parse} says. */
export function reasonOf(error: unknown): string {
  return messageOf(error).replace(/\.$/, "");
}
