import { DinpError } from "../model/errors.js";
import type { HealthCheck } from "../model/records.js";
import type { AppFiles } from "./choose-command.js";
import { isThere } from "./file-pattern.js";

/** What makes an upload, or the files in it, one of a template's. */
export type Recognition =
  /** The name of the uploaded file is like one of these patterns (`*.war`), whatever its case. */
  | { readonly by: "upload"; readonly names: readonly string[] }
  /** The upload is no archive but one executable file: an ELF program or a script that begins with `#!`. */
  | { readonly by: "program" }
  /** The app has one of `anyOf` and none of `noneOf`: names at its root (with one `*` or none), or paths of files. */
  | { readonly by: "files"; readonly anyOf: readonly string[]; readonly noneOf: readonly string[] };

/** The word of a template's command that stands for the file that was found. */
export const filePlaceholder = "{file}";

/** One place where a template looks for the app's command. */
export type CommandSource =
  /** `scripts.start`, or `main`, of the app's `package.json`. */
  | { readonly from: "package-json"; readonly field: "start" | "main" }
  /** The first of `files` that is there (a pattern counts when exactly one file fits) takes the place of {@link filePlaceholder}. */
  | { readonly from: "files"; readonly files: readonly string[]; readonly run: readonly string[] }
  | { readonly from: "template"; readonly run: readonly string[] };

/** What an app is made of: how it is recognized, what it needs, and how it starts when it does not say so itself. */
export interface Template {
  readonly name: string;
  /** For people, one line. */
  readonly description: string;
  /** One that fits is enough; without any, the template is taken only when it is named. */
  readonly recognize: readonly Recognition[];
  /** The name of the base image that the app is put on; null for none. */
  readonly base: string | null;
  /** An upload that is no tree of files (a `.jar`, a program) is kept whole under this name; null: it is unpacked. */
  readonly keepAs: string | null;
  /** Looked at in this order, after `dinp.yaml`, `Procfile` and `control`. */
  readonly command: readonly CommandSource[];
  /**
   * The port on which these apps listen whatever `PORT` says; null when they listen on `PORT`. Apps with a port of
   * their own need nodes that give each instance a network of its own; plain processes share their machine's.
   */
  readonly port: number | null;
  /** What differs from the usual check, unless the app's `dinp.yaml` says otherwise. */
  readonly check: Partial<HealthCheck>;
  /** How its image is made: as its own `Dockerfile` says; absent: the files are packed, and nothing of them is run. */
  readonly build?: "dockerfile";
  /** Programs that a node without images must have. */
  readonly requires: readonly string[];
}

/** The template of apps that no other one recognizes. */
export const fallbackTemplate = "plain";

/** Programs that a command may name: nodes say which of them they have, so that a missing one is named at push. */
export const knownPrograms: readonly string[] = Object.freeze([
  "node",
  "python3",
  "java",
  "php",
  "ruby",
  "perl",
]);

/** The template of this name; `DINP_INVALID` names those that there are. */
export function templateNamed(templates: readonly Template[], name: string): Template {
  const found = templates.find((template) => template.name === name);
  if (found !== undefined) return found;
  throw new DinpError("DINP_INVALID", `There is no template ${JSON.stringify(name.slice(0, 80))}.`, {
    hint: `Templates: ${templates.map((template) => template.name).join(", ")}.`,
    details: { field: "template" },
  });
}

/** The first template that recognizes the app's files, else the one for all others. The order of the list decides. */
export function chooseTemplate(
  templates: readonly Template[],
  files: Pick<AppFiles, "rootNames" | "hasFile">,
): Template {
  const found = templates.find(({ recognize }) => recognize.some((rule) => recognizes(rule, files)));
  return found ?? templateNamed(templates, fallbackTemplate);
}

function recognizes(rule: Recognition, files: Pick<AppFiles, "rootNames" | "hasFile">): boolean {
  switch (rule.by) {
    case "upload":
    case "program":
      return false;
    case "files":
      return (
        rule.anyOf.some((pattern) => isThere(pattern, files)) &&
        !rule.noneOf.some((pattern) => isThere(pattern, files))
      );
  }
}
