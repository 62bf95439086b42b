import { requiredPrograms, type Template } from "../build/index.js";
import { DinpError } from "../model/errors.js";
import { appFolder } from "../build/rewrite-entry.js";
import type { Node, Release } from "../model/records.js";
import { withSignal } from "./app-records.js";
import type { PlatformContext, ReadOptions } from "./context.js";
import { quoted } from "./text.js";

/** Programs that a node must have for the command; a template that is not known (any more) asks for none itself. */
export function programsOf(
  templates: readonly Template[],
  template: string,
  command: readonly string[],
): readonly string[] {
  return requiredPrograms(templates.find(({ name }) => name === template) ?? { requires: [] }, command);
}

const INSTALL_HINTS: ReadonlyMap<string, string> = new Map([
  ["node", "Install Node.js (Debian: `apt-get install nodejs`)"],
  ["python3", "Install Python 3 (Debian: `apt-get install python3`)"],
  ["java", "Install a Java runtime (Debian: `apt-get install default-jre-headless`)"],
  ["ruby", "Install Ruby (Debian: `apt-get install ruby`)"],
  [
    "dinp-tomcat",
    "`dinp-tomcat` runs .war files: install Apache Tomcat and a Java runtime (Debian: `apt-get install tomcat10-common default-jre-headless`), or name Tomcat's folder by CATALINA_HOME",
  ],
  ["php", "Install PHP (Debian: `apt-get install php-cli`)"],
]);

/** True when there are nodes and all of them run plain processes: of an image they use its `/app` alone, and programs of their own. */
export async function areNodesPlain(context: PlatformContext, options: ReadOptions): Promise<boolean> {
  let isSome = false;
  for await (const { value } of context.store.list("node", withSignal(options))) {
    if (value.programs === null) return false;
    isSome = true;
  }
  return isSome;
}

/**
 * Rejects with `DINP_PROGRAM_MISSING` when the release needs a program that no node has. Says nothing while there is no
 * node, or one whose images bring their own.
 */
export async function assertPrograms(
  context: PlatformContext,
  requires: readonly string[],
  options: ReadOptions,
): Promise<void> {
  if (requires.length === 0) return;
  const nodes: Node[] = [];
  for await (const { value } of context.store.list("node", withSignal(options))) nodes.push(value);
  if (nodes.length === 0) return;
  const found = new Set<string>();
  for (const { programs } of nodes) {
    if (programs === null) return;
    for (const program of programs) found.add(program);
  }
  const missing = requires.filter((program) => !found.has(program));
  if (missing.length === 0) return;
  const names = nodes.map((node) => node.id);
  const shown =
    names.length > 5
      ? `${names.slice(0, 5).join(", ")} and ${String(names.length - 5)} more`
      : names.join(", ");
  const install = missing
    .map((name) => INSTALL_HINTS.get(name) ?? `Install ${name} there, on the PATH of the platform`)
    .join("; ");
  throw new DinpError(
    "DINP_PROGRAM_MISSING",
    `The app needs ${missing.map((program) => `\`${program}\``).join(", ")}, which no node has (${shown}).`,
    {
      hint: `${install}, start the platform there again, and repeat the push.`,
      details: { programs: missing, nodes: names.slice(0, 100) },
    },
  );
}

/**
 * Rejects with `DINP_PROGRAM_MISSING` when a build that was put on no base image needs one: all nodes run containers, which have
 * no programs but the image's, and the command is not a file of the app. Says nothing while there is no node.
 */
export async function assertBase(
  context: PlatformContext,
  { template, command, buildId }: Pick<Release, "template" | "command" | "buildId">,
  options: ReadOptions,
): Promise<void> {
  const [program = ""] = command;
  if (buildId === null || isByDockerfile(context, template)) return;
  if (program.startsWith("./") || program.startsWith(`/${appFolder}/`)) return;
  const build = await context.store.get("build", buildId, withSignal(options));
  if (build === null || build.value.base != null || !(await areNodesContainers(context, options))) return;
  const base = context.builder.templates.find(({ name }) => name === template)?.base ?? "NAME";
  throw new DinpError(
    "DINP_PROGRAM_MISSING",
    `The app starts ${quoted(program)}, and its image is on no base image: containers have no programs but their image's.`,
    {
      hint: `Register a base image, and push again: dinp bases add ${base} --from TAR${base === "NAME" ? ", and name it in dinp.yaml (base: NAME)" : ""}.`,
      details: { programs: [program] },
    },
  );
}

/** Whether the template's images are what their Dockerfiles make of them. */
export function isByDockerfile({ builder }: PlatformContext, template: string): boolean {
  return builder.templates.some(({ name, build }) => name === template && build === "dockerfile");
}

async function areNodesContainers(context: PlatformContext, options: ReadOptions): Promise<boolean> {
  let isSome = false;
  for await (const { value } of context.store.list("node", withSignal(options))) {
    if (value.programs !== null) return false;
    isSome = true;
  }
  return isSome;
}

/**
 * Rejects with `DINP_INVALID` when apps of the template listen on a port of their own and all nodes run plain processes,
 * which share their machine's ports: two instances could not run side by side, and none at the port that it is given.
 */
export async function assertPort(
  context: PlatformContext,
  template: string,
  options: ReadOptions,
): Promise<void> {
  const port = context.builder.templates.find(({ name }) => name === template)?.port ?? null;
  if (port === null || !(await areNodesPlain(context, options))) return;
  throw new DinpError(
    "DINP_INVALID",
    `Apps of the template ${template} listen on port ${String(port)} whatever PORT says, which needs nodes that run containers; the nodes here run plain processes, which share their machine's ports.`,
    {
      hint: "Let the app listen on $PORT, and choose a template whose port is `env`.",
      details: { field: "template", template, port },
    },
  );
}
