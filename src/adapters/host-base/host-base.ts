import { realpath } from "node:fs/promises";
import { DinpError, type Archive, type ByteStream } from "@dinp/core";
import { commonFiles, commonPrograms, kits } from "./kits.js";
import type { HostBaseName } from "./names.js";
import { librariesOf } from "./libraries.js";
import { programsNamed } from "./program-paths.js";
import { RootTree } from "./root-tree.js";

export interface HostBaseOptions {
  readonly name: HostBaseName;
  readonly archive: Pick<Archive, "write">;
  /** Folders in which programs are looked for, absolute. */
  readonly searchPath: readonly string[];
  /** The Node.js that goes into bases, when it is not the one on the search path. */
  readonly node?: string;
  /** Programs that the platform brings: argument vectors of this machine whose files come along. */
  readonly platformPrograms?: Readonly<Record<string, PlatformProgram>>;
  readonly signal?: AbortSignal;
}

/** A program of the platform: an argument vector, to which the app's arguments are added, and the files that it names. */
export interface PlatformProgram {
  readonly command: readonly string[];
  readonly files: readonly string[];
}

/** A base that can be made. */
export interface HostBase {
  readonly files: number;
  readonly bytes: number;
  /** A tar of the root file system, as `dinp bases add` takes it; read once. Fails when a file is changed meanwhile. */
  readonly tar: ByteStream;
}

const PASSWD = `root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
`;
const GROUP = `root:x:0:
nogroup:x:65534:
`;
const NODE = "/usr/local/bin/node";
/** Of the platform's own programs, which are modules of one file. */
const OWN_FOLDER = "/usr/local/lib/dinp";

/**
 * A base image made of this machine's own programs, with the libraries and files that they need and a small userland:
 * what plain processes run with here, containers run with too. Needs no network and no container engine.
 * `DINP_PROGRAM_MISSING` names the program that this machine lacks.
 */
export async function createHostBase(options: HostBaseOptions): Promise<HostBase> {
  const tree = new RootTree();
  const kit = kits[options.name];
  const paths = new Map<string, string>();
  for (const program of kit.programs) paths.set(program, await addRequired(tree, program, options));
  for (const program of commonPrograms) await addFirst(tree, program, options.searchPath);
  for (const path of await kit.files((program) => paths.get(program) ?? "")) await tree.add(path);
  for (const path of commonFiles) await tree.add(path);
  for (const program of kit.platformPrograms) await addPlatformProgram(tree, program, options);
  await addLibraries(tree, options.signal);
  addFixed(tree);
  return {
    files: tree.size,
    bytes: tree.bytes,
    tar: options.archive.write(tree.entries(options.signal), signalOf(options)),
  };
}

/** Adds the first program of that name that all may use; returns its path. */
async function addRequired(tree: RootTree, program: string, options: HostBaseOptions): Promise<string> {
  const { node, searchPath } = options;
  if (program === "node" && node !== undefined) {
    // One file, which often lies in some user's home.
    await tree.addAs(NODE, await realpath(node));
    return node;
  }
  const { added, passedOver } = await addFirst(tree, program, searchPath);
  if (added !== null) return added;
  if (passedOver !== null) throw unreadable(passedOver);
  throw missing(
    program,
    `Install it here, or register an image that has it: dinp bases add NAME --from TAR.`,
  );
}

async function addFirst(
  tree: RootTree,
  program: string,
  searchPath: readonly string[],
): Promise<{ readonly added: string | null; readonly passedOver: string | null }> {
  let passedOver: string | null = null;
  for await (const path of programsNamed(program, searchPath)) {
    if (await tree.add(path)) return { added: path, passedOver };
    passedOver ??= path;
  }
  return { added: null, passedOver };
}

async function addPlatformProgram(tree: RootTree, name: string, options: HostBaseOptions): Promise<void> {
  const program = options.platformPrograms?.[name];
  if (program === undefined) throw missing(name, "docs/templates.md says when the platform has it.");
  let command = program.command;
  for (const file of program.files) {
    // The platform's own files lie where nobody knows; a folder that is installed stays where its links expect it.
    const isInstalled = file.startsWith("/usr/");
    const at = isInstalled ? file : `${OWN_FOLDER}/${file.split("/").at(-1) ?? name}`;
    if (isInstalled) await tree.add(file);
    else await tree.addAs(at, file);
    command = command.map((word) => (word === file ? at : word));
  }
  tree.addText(`${OWN_FOLDER}/package.json`, '{"type":"module"}\n');
  const words = command.map((word) => (word === options.node || word === process.execPath ? NODE : word));
  tree.addText(`/usr/local/bin/${name}`, `#!/bin/sh\nexec ${words.map(quoted).join(" ")} "$@"\n`, 0o755);
}

/** Until there are no more: libraries need libraries. */
async function addLibraries(tree: RootTree, signal: AbortSignal | undefined): Promise<void> {
  for (let files = [...tree.newBinaries()]; files.length > 0; files = [...tree.newBinaries()]) {
    for (const path of await librariesOf(files, signal)) await tree.add(path);
  }
}

function addFixed(tree: RootTree): void {
  tree.addText("/etc/passwd", PASSWD);
  tree.addText("/etc/group", GROUP);
  tree.addText("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n");
  for (const path of ["/tmp", "/var/tmp"]) tree.addFolder(path, 0o1777);
  for (const path of ["/root", "/run", "/proc", "/sys", "/dev"]) tree.addFolder(path, 0o755);
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

function signalOf({ signal }: HostBaseOptions): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

function missing(program: string, hint: string): DinpError {
  return new DinpError("DINP_PROGRAM_MISSING", `This machine has no ${program} to make a base image of.`, {
    hint,
    details: { program },
  });
}

function unreadable(path: string): DinpError {
  return new DinpError(
    "DINP_PROGRAM_MISSING",
    `${path} cannot go into a base image: not every user may read it.`,
    {
      hint: "Make the file and its folders readable for all.",
      details: { path },
    },
  );
}
