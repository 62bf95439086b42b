import { refusedAt, shown, type DockerfilePlace } from "./refusal.js";

export interface Expansion {
  readonly place: DockerfilePlace;
  readonly escape: string;
  /** What stands for a name; undefined: nothing, which is the empty text. */
  readonly valueOf: (name: string) => string | undefined;
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*/;
const DEPTH_MAX = 10;
const VALUE_LENGTH_MAX = 64 * 1024;

/**
 * A word with its variables replaced and its quotes taken away (Dockerfile reference, "Environment replacement"). What a variable
 * holds is data: it is not read again, nor split. `DINP_INVALID` for quotes and braces that do not end, and forms that are
 * not known.
 */
export function expand(word: string, expansion: Expansion): string {
  const reader = new WordReader(word, expansion);
  return reader.readAll();
}

class WordReader {
  readonly #text: string;
  readonly #expansion: Expansion;
  #at = 0;
  #depth = 0;

  constructor(text: string, expansion: Expansion) {
    this.#text = text;
    this.#expansion = expansion;
  }

  readAll(): string {
    const value = this.#readUntil("");
    if (value.length <= VALUE_LENGTH_MAX) return value;
    throw this.#refused("a value is longer than 65,536 characters", "Shorten it.");
  }

  /** Up to the end character, which is passed, or the text's end when that is empty. */
  #readUntil(end: string): string {
    let value = "";
    while (this.#at < this.#text.length) {
      const character = this.#text.charAt(this.#at);
      if (character === end) {
        this.#at += 1;
        return value;
      }
      value += this.#readPiece(character);
    }
    if (end === "") return value;
    throw this.#refused(`a ${end} is missing`, "End what was begun.");
  }

  #readPiece(character: string): string {
    this.#at += 1;
    if (character === "'") return this.#readSingleQuoted();
    if (character === '"') return this.#readDoubleQuoted();
    if (character === "$") return this.#readVariable();
    if (character !== this.#expansion.escape) return character;
    const escaped = this.#text.charAt(this.#at);
    this.#at += 1;
    return escaped;
  }

  #readSingleQuoted(): string {
    const end = this.#text.indexOf("'", this.#at);
    if (end < 0) throw this.#refused("a ' is missing", "End what was begun.");
    const value = this.#text.slice(this.#at, end);
    this.#at = end + 1;
    return value;
  }

  #readDoubleQuoted(): string {
    const { escape } = this.#expansion;
    let value = "";
    while (this.#at < this.#text.length) {
      const character = this.#text.charAt(this.#at);
      this.#at += 1;
      if (character === '"') return value;
      if (character === "$") value += this.#readVariable();
      else if (character === escape && ['"', "$", escape].includes(this.#text.charAt(this.#at))) {
        value += this.#text.charAt(this.#at);
        this.#at += 1;
      } else value += character;
    }
    throw this.#refused('a " is missing', "End what was begun.");
  }

  /** After the `$`. */
  #readVariable(): string {
    const { valueOf } = this.#expansion;
    if (this.#text.charAt(this.#at) !== "{") {
      const name = NAME.exec(this.#text.slice(this.#at))?.[0];
      if (name === undefined) return "$";
      this.#at += name.length;
      return valueOf(name) ?? "";
    }
    this.#at += 1;
    const name = NAME.exec(this.#text.slice(this.#at))?.[0] ?? "";
    this.#at += name.length;
    const form = /^(?:\}|:?[-+])/.exec(this.#text.slice(this.#at))?.[0];
    if (name === "" || form === undefined) {
      throw this.#refused(
        `${JSON.stringify(shown(this.#text, 80))} has a form of variable that is not known`,
        "Write $NAME, ${NAME}, ${NAME:-value} or ${NAME:+value}.",
      );
    }
    this.#at += form.length;
    const value = valueOf(name);
    if (form === "}") return value ?? "";
    this.#depth += 1;
    if (this.#depth > DEPTH_MAX)
      throw this.#refused("variables are nested too deeply", "Use one inside another.");
    const word = this.#readUntil("}");
    this.#depth -= 1;
    const isSet = form.startsWith(":") ? value !== undefined && value !== "" : value !== undefined;
    if (form.endsWith("+")) return isSet ? word : "";
    return isSet ? (value ?? "") : word;
  }

  #refused(why: string, hint: string): Error {
    return refusedAt(this.#expansion.place, why, hint);
  }
}

/** The words of a text, parted where blanks stand outside of quotes; quotes and escapes stay in them. */
export function splitWords(text: string, escape: string): readonly string[] {
  const words: string[] = [];
  let word = "";
  let quote = "";
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (quote === "" && /\s/.test(character)) {
      if (word !== "") words.push(word);
      word = "";
      continue;
    }
    word += character;
    if (character === escape && quote !== "'") {
      at += 1;
      word += text.charAt(at);
    } else if (quote !== "") {
      if (character === quote) quote = "";
    } else if (character === '"' || character === "'") quote = character;
  }
  return word === "" ? words : [...words, word];
}

/** A list of texts in JSON; null for anything else, which is a line for the shell. */
export function jsonWords(text: string): readonly string[] | null {
  if (!text.startsWith("[")) return null;
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every((item) => typeof item === "string") ? value : null;
  } catch {
    return null;
  }
}
