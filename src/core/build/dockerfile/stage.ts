import { expand, jsonWords, splitWords } from "./expand.js";
import type { ImageSettings } from "./image-settings.js";
import type { RawInstruction } from "./read-dockerfile.js";
import { refusedAt, shown } from "./refusal.js";

/** How far a stage has come. */
export interface StageState {
  readonly settings: ImageSettings;
  /** What `ARG` declared and gave a value. */
  readonly args: ReadonlyMap<string, string>;
  readonly shell: readonly string[];
  /** Whether the stage, and not its base, says how the image starts. */
  readonly hasOwnCmd: boolean;
}

/** What an instruction wants done in the image's files. */
export type StageAction =
  | {
      readonly do: "run";
      readonly command: readonly string[];
      readonly env: Readonly<Record<string, string>>;
    }
  | {
      readonly do: "copy";
      /** A stage or an image; null: the upload. */
      readonly from: string | null;
      readonly sources: readonly string[];
      /** As it was written: a folder when it ends with `/`. */
      readonly destination: string;
      readonly owner: string | null;
      readonly mode: number | null;
    }
  | { readonly do: "folder"; readonly path: string }
  /** Nothing; what is to be said of it. */
  | { readonly do: "nothing"; readonly note: string | null };

export interface StageStep {
  readonly state: StageState;
  readonly action: StageAction;
}

const DEFAULT_SHELL: readonly string[] = ["/bin/sh", "-c"];
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const TEXT_MAX = 256 * 1024;
const nothing: StageAction = { do: "nothing", note: null };

export function beginStage(settings: ImageSettings): StageState {
  return { settings, args: new Map(), shell: DEFAULT_SHELL, hasOwnCmd: false };
}

/**
 * What an instruction changes, and what it wants done (Dockerfile reference). `globals`: the values of `ARG`s before the first
 * `FROM`. `DINP_INVALID` names the line.
 */
export function stepOf(
  state: StageState,
  instruction: RawInstruction,
  file: { readonly escape: string; readonly globals: ReadonlyMap<string, string> },
): StageStep {
  const step = new Step(state, instruction, file).take();
  assertShort(step.state.settings, instruction);
  return step;
}

/** The value of each `ARG` before the first `FROM`. */
export function globalArgs(
  instructions: readonly RawInstruction[],
  escape: string,
): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const instruction of instructions)
    for (const { name, value } of argsOf(instruction, escape, (known) => values.get(known)))
      if (value !== null) values.set(name, value);
  return values;
}

class Step {
  readonly #state: StageState;
  readonly #instruction: RawInstruction;
  readonly #escape: string;
  readonly #globals: ReadonlyMap<string, string>;

  constructor(
    state: StageState,
    instruction: RawInstruction,
    file: { readonly escape: string; readonly globals: ReadonlyMap<string, string> },
  ) {
    this.#state = state;
    this.#instruction = instruction;
    this.#escape = file.escape;
    this.#globals = file.globals;
  }

  take(): StageStep {
    const { settings } = this.#state;
    const { keyword, text } = this.#instruction;
    switch (keyword) {
      case "ARG":
        return this.#arg();
      case "ENV":
        return this.#set({ env: merged(settings.env, this.#pairs(true)) });
      case "LABEL":
        return this.#set({ labels: merged(settings.labels, this.#pairs(false)) });
      case "USER":
        return this.#set({ user: this.#user() });
      case "EXPOSE":
        return this.#set({ exposedPorts: new Set([...settings.exposedPorts, ...this.#ports()]) });
      case "VOLUME":
        return this.#set({ volumes: new Set([...settings.volumes, ...this.#volumes()]) });
      case "STOPSIGNAL":
        return this.#set({ stopSignal: this.#stopSignal() });
      case "WORKDIR": {
        const workingDir = joined(settings.workingDir, this.#expand(text));
        return { ...this.#set({ workingDir }), action: { do: "folder", path: workingDir } };
      }
      case "SHELL":
        return { state: { ...this.#state, shell: this.#shell() }, action: nothing };
      case "CMD":
        return {
          state: { ...this.#state, settings: { ...settings, cmd: this.#command() }, hasOwnCmd: true },
          action: nothing,
        };
      case "ENTRYPOINT": {
        // What the base would be started with is not for another program.
        const cmd = this.#state.hasOwnCmd ? settings.cmd : [];
        return this.#set({ entrypoint: this.#command(), cmd });
      }
      case "RUN":
        return {
          state: this.#state,
          action: {
            do: "run",
            command: this.#command(),
            env: Object.fromEntries([...this.#state.args, ...settings.env]),
          },
        };
      case "COPY":
      case "ADD":
        return { state: this.#state, action: this.#copy() };
      case "HEALTHCHECK":
        return this.#ignored("it is not used: the platform checks apps itself (check: in dinp.yaml)");
      case "MAINTAINER":
        return this.#ignored("it is not used");
      default:
        throw this.#refused("it is no instruction that is known here", "Leave it out.");
    }
  }

  #set(settings: Partial<ImageSettings>): StageStep {
    return { state: { ...this.#state, settings: { ...this.#state.settings, ...settings } }, action: nothing };
  }

  #ignored(note: string): StageStep {
    return { state: this.#state, action: { do: "nothing", note } };
  }

  #arg(): StageStep {
    const args = new Map(this.#state.args);
    for (const { name, value } of argsOf(this.#instruction, this.#escape, (known) => this.#valueOf(known))) {
      const given = value ?? this.#globals.get(name);
      if (given !== undefined) args.set(name, given);
    }
    return { state: { ...this.#state, args }, action: nothing };
  }

  #pairs(areNames: boolean): readonly (readonly [string, string])[] {
    const { keyword, text } = this.#instruction;
    const words = splitWords(text, this.#escape);
    const [first = ""] = words;
    const pairs = first.includes("=")
      ? words.map((word) => {
          const at = equalsIn(word);
          if (at < 1)
            throw this.#refused(
              `${JSON.stringify(shown(word, 80))} is not NAME=VALUE`,
              `Write ${keyword} NAME=VALUE.`,
            );
          return [this.#expand(word.slice(0, at)), this.#expand(word.slice(at + 1))] as const;
        })
      : [this.#pairOfWords(first, text)];
    const odd = pairs.find(([name]) =>
      areNames ? !NAME.test(name) || name === "__proto__" : !isLabel(name),
    );
    if (odd !== undefined)
      throw this.#refused(`${JSON.stringify(shown(odd[0], 80))} is no name`, "Use letters, digits and _.");
    const broken = pairs.find(([, value]) => value.includes("\0"));
    if (broken !== undefined) throw this.#refused("a value has a zero byte", "Leave it out.");
    return pairs;
  }

  /** The old form, `ENV NAME the rest`. */
  #pairOfWords(name: string, text: string): readonly [string, string] {
    const rest = text.slice(name.length).trim();
    if (rest === "")
      throw this.#refused(`${JSON.stringify(shown(name, 80))} has no value`, `Write ${name}=VALUE.`);
    return [this.#expand(name), this.#expand(rest)];
  }

  #user(): string {
    const user = this.#expand(this.#instruction.text);
    if (/^[A-Za-z0-9_][A-Za-z0-9._-]*(?::[A-Za-z0-9_][A-Za-z0-9._-]*)?$/.test(user)) return user;
    throw this.#refused(
      `${JSON.stringify(shown(user, 80))} is no user`,
      "Write USER NAME, USER UID or USER UID:GID.",
    );
  }

  #ports(): readonly string[] {
    return this.#words().map((word) => {
      const [, port = "", protocol = "tcp"] =
        /^(\d{1,5}(?:-\d{1,5})?)(?:\/(tcp|udp|sctp))?$/.exec(word) ?? [];
      if (port === "")
        throw this.#refused(
          `${JSON.stringify(shown(word, 80))} is no port`,
          "Write EXPOSE 8080; apps listen on $PORT.",
        );
      return `${port}/${protocol}`;
    });
  }

  #volumes(): readonly string[] {
    const words = jsonWords(this.#instruction.text) ?? splitWords(this.#instruction.text, this.#escape);
    return words.map((word) => joined(this.#state.settings.workingDir, this.#expand(word)));
  }

  #stopSignal(): string {
    const signal = this.#expand(this.#instruction.text);
    if (/^(?:SIG[A-Z0-9+-]{2,12}|\d{1,2})$/.test(signal)) return signal;
    throw this.#refused(`${JSON.stringify(shown(signal, 80))} is no signal`, "Write STOPSIGNAL SIGTERM.");
  }

  #shell(): readonly string[] {
    const words = jsonWords(this.#instruction.text);
    if (words !== null && words.length > 0) return words;
    throw this.#refused("it is no list in JSON", 'Write SHELL ["/bin/bash", "-c"].');
  }

  #command(): readonly string[] {
    const { text } = this.#instruction;
    const words = jsonWords(text) ?? [...this.#state.shell, text];
    if (words.length > 0 && words.every((word) => !word.includes("\0"))) return words;
    throw this.#refused("it names no program", 'Write it like CMD ["node", "server.js"].');
  }

  #copy(): StageAction {
    const { keyword, text, flags } = this.#instruction;
    const words = (jsonWords(text) ?? text.trim().split(/\s+/)).map((word) => this.#expand(word));
    const destination = words.at(-1) ?? "";
    const sources = words.slice(0, -1);
    if (sources.length === 0 || words.includes(""))
      throw this.#refused("it names no source or no destination", `Write ${keyword} SOURCE DESTINATION.`);
    if (words.some((word) => word.includes("\0")))
      throw this.#refused("a path has a zero byte", "Leave it out.");
    if (sources.length > 1 && !destination.endsWith("/"))
      throw this.#refused(
        "several sources go into a folder",
        `End the destination with /: ${shown(destination, 80)}/`,
      );
    if (keyword === "ADD") for (const source of sources) this.#assertAddable(source);
    const from = flags.get("from") ?? null;
    return {
      do: "copy",
      from: from === null ? null : this.#expand(from),
      sources,
      destination: `${joined(this.#state.settings.workingDir, destination)}${/(?:^|\/)\.?$/.test(destination) ? "/" : ""}`,
      owner: this.#owner(),
      mode: this.#mode(),
    };
  }

  #assertAddable(source: string): void {
    if (/^[a-z][a-z0-9+.-]*:\/\/|^git@/i.test(source))
      throw this.#refused("nothing is fetched from elsewhere", "Put the file into the upload, and COPY it.");
    if (/\.(?:tar|tar\.[a-z0-9]+|tgz|tbz2?|txz|tzst)$/i.test(source))
      throw this.#refused(
        "archives are not unpacked",
        "COPY it, and unpack it with RUN; or upload what is in it.",
      );
  }

  #owner(): string | null {
    const owner = this.#instruction.flags.get("chown") ?? null;
    if (owner === null) return null;
    const value = this.#expand(owner);
    if (/^[A-Za-z0-9_][A-Za-z0-9._-]*(?::[A-Za-z0-9_][A-Za-z0-9._-]*)?$/.test(value)) return value;
    throw this.#refused(
      `${JSON.stringify(shown(value, 80))} is no owner`,
      "Write --chown=USER:GROUP, by names or numbers.",
    );
  }

  #mode(): number | null {
    const mode = this.#instruction.flags.get("chmod") ?? null;
    if (mode === null) return null;
    if (/^[0-7]{3,4}$/.test(mode)) return Number.parseInt(mode, 8);
    throw this.#refused(
      `${JSON.stringify(shown(mode, 80))} is no mode`,
      "Write it in octal digits: --chmod=755.",
    );
  }

  #words(): readonly string[] {
    return splitWords(this.#instruction.text, this.#escape).map((word) => this.#expand(word));
  }

  #expand(word: string): string {
    const valueOf = (name: string): string | undefined => this.#valueOf(name);
    return expand(word, { place: this.#instruction, escape: this.#escape, valueOf });
  }

  #valueOf(name: string): string | undefined {
    return this.#state.settings.env.get(name) ?? this.#state.args.get(name);
  }

  #refused(why: string, hint: string): Error {
    return refusedAt(this.#instruction, why, hint);
  }
}

function argsOf(
  instruction: RawInstruction,
  escape: string,
  valueOf: (name: string) => string | undefined,
): readonly { readonly name: string; readonly value: string | null }[] {
  const found = new Map<string, string>();
  return splitWords(instruction.text, escape).map((word) => {
    const at = equalsIn(word);
    const name = at < 0 ? word : word.slice(0, at);
    if (!NAME.test(name) || name === "__proto__")
      throw refusedAt(
        instruction,
        `${JSON.stringify(shown(name, 80))} is no name`,
        "Use letters, digits and _.",
      );
    if (at < 0) return { name, value: null };
    const known = (other: string): string | undefined => found.get(other) ?? valueOf(other);
    const value = expand(word.slice(at + 1), { place: instruction, escape, valueOf: known });
    found.set(name, value);
    return { name, value };
  });
}

/** Where a word's first `=` outside of quotes stands; -1 without one. */
function equalsIn(word: string): number {
  let quote = "";
  for (let at = 0; at < word.length; at += 1) {
    const character = word.charAt(at);
    if (quote !== "") quote = character === quote ? "" : quote;
    else if (character === '"' || character === "'") quote = character;
    else if (character === "=") return at;
  }
  return -1;
}

function isLabel(name: string): boolean {
  return name !== "" && name !== "__proto__" && name.length <= 255 && !/[\0-\x1f\x7f]/.test(name);
}

function merged(
  known: ReadonlyMap<string, string>,
  added: readonly (readonly [string, string])[],
): ReadonlyMap<string, string> {
  return new Map([...known, ...added]);
}

/** An absolute path without `.`, `..` and doubled slashes. */
export function joined(folder: string, path: string): string {
  const parts: string[] = [];
  for (const part of (path.startsWith("/") ? path : `${folder}/${path}`).split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

function assertShort({ env, labels }: ImageSettings, instruction: RawInstruction): void {
  let length = 0;
  for (const [name, value] of [...env, ...labels]) length += name.length + value.length;
  if (length > TEXT_MAX)
    throw refusedAt(
      instruction,
      `variables and labels have more than ${String(TEXT_MAX)} characters`,
      "Shorten them.",
    );
}
