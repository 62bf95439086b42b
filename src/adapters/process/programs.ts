import { constants } from "node:fs";
import { access, open, realpath, stat } from "node:fs/promises";
import { basename, dirname, isAbsolute, join } from "node:path";
import { offerCopy, offerLink, offerModule } from "./program-copy.js";

/** What a command comes to on this node. */
export type Resolution =
  | { readonly found: true; readonly argv: readonly string[] }
  | { readonly found: false; readonly message: string };

export interface ProgramsOptions {
  /** A folder (0711) for programs that other users cannot reach where they are. */
  readonly dir: string;
  /** Folders that programs are looked for in, after the app's own. */
  readonly searchPath: readonly string[];
  /** Programs of the platform: a name and the argument vector that it stands for. */
  readonly builtIn: Readonly<Record<string, readonly string[]>>;
  /** Programs to be looked for besides the well-known ones. */
  readonly asked: readonly string[];
  /** Node's own binary: `node` when the search path has none. */
  readonly nodePath: string;
}

/** Interpreters that apps of the usual templates ask for. */
export const wellKnownPrograms: readonly string[] = Object.freeze([
  "node",
  "python3",
  "java",
  "php",
  "ruby",
  "perl",
]);

const READ = 0o004;
const EXECUTE = 0o001;
const SHEBANG_BYTES_MAX = 256;

/**
 * Finds the programs of commands as the user of an instance could execute them: permission bits of the file and of each folder on
 * its real path are looked at (access control lists are not). `uid` null means the platform's own user.
 */
export class Programs {
  readonly #options: ProgramsOptions;
  #builtIn: Readonly<Record<string, readonly string[]>>;
  /** The folders of the search path that are not closed to the apps' users. */
  #openPath: readonly string[];

  constructor(options: ProgramsOptions) {
    this.#options = options;
    this.#openPath = options.searchPath;
    this.#builtIn = options.builtIn;
  }

  /**
   * The folders of the `PATH` of an app, in order. One that is closed to the app's user is left out: it would make a shell
   * say "permission denied" of every program that there is not.
   */
  pathOf(appDir: string): readonly string[] {
    return [join(appDir, "node_modules", ".bin"), ...this.#openPath, this.#options.dir];
  }

  /** Puts what `uid` cannot reach (Node below a closed home folder) where it can. */
  async open(uid: number | null): Promise<void> {
    const { dir, nodePath, builtIn, searchPath } = this.#options;
    if (uid !== null) this.#openPath = await openFolders(searchPath, uid);
    const inDir = join(dir, "node");
    const node = (await accessObstacle(nodePath, EXECUTE, uid)) === null ? nodePath : inDir;
    // In the folder too, where scripts find it by the PATH when no other folder has one.
    if (node === nodePath) await offerLink(nodePath, inDir);
    else await offerCopy(nodePath, inDir);
    const reachable: Record<string, readonly string[]> = {};
    for (const [name, words] of Object.entries(builtIn)) {
      const argv: string[] = [];
      for (const word of words) argv.push(word === nodePath ? node : await this.#reach(name, word, uid));
      reachable[name] = argv;
    }
    this.#builtIn = reachable;
  }

  /** Well-known programs that the user can execute here. */
  async usable(uid: number | null): Promise<readonly string[]> {
    const names = [...wellKnownPrograms, ...this.#options.asked, ...Object.keys(this.#builtIn)];
    const usable: string[] = [];
    for (const name of new Set(names))
      if ((await this.resolve([name], this.#options.dir, uid)).found) usable.push(name);
    return usable;
  }

  /** The argument vector to execute, its first word an absolute path; or a sentence that says what is missing. */
  async resolve(command: readonly string[], appDir: string, uid: number | null): Promise<Resolution> {
    const [name = "", ...rest] = command;
    if (name === "") return { found: false, message: "The command is empty." };
    const builtIn = Object.hasOwn(this.#builtIn, name) ? this.#builtIn[name] : undefined;
    if (builtIn !== undefined) return builtInResolution(name, builtIn, rest, uid);
    const candidates = name.includes("/") ? [inApp(name, appDir)] : this.#placesOf(appDir, name);
    const obstacles: string[] = [];
    for (const candidate of candidates) {
      const obstacle = await this.#obstacle(candidate, appDir, uid);
      if (obstacle === null) return { found: true, argv: [candidate, ...rest] };
      if (obstacle !== "absent") obstacles.push(obstacle);
    }
    const where = name.includes("/") ? "in the app" : "on this node";
    const why = obstacles.length > 0 ? `: ${obstacles.join("; ")}` : "";
    return { found: false, message: `The program ${JSON.stringify(name)} was not found ${where}${why}.` };
  }

  /** Where a program may be, closed folders included: what is in the way is told. */
  #placesOf(appDir: string, name: string): readonly string[] {
    const { searchPath, dir } = this.#options;
    return [join(appDir, "node_modules", ".bin"), ...searchPath, dir].map((folder) => join(folder, name));
  }

  /** Why the user cannot execute the file: null when nothing is in the way. */
  async #obstacle(file: string, appDir: string, uid: number | null): Promise<string | null> {
    const obstacle = await accessObstacle(file, EXECUTE, uid);
    if (obstacle !== null) return obstacle;
    const interpreter = await readShebang(file);
    if (interpreter === null) return null;
    const [program = "", word = "", next = ""] = interpreter;
    const wanted = basename(program) === "env" ? (word === "-S" ? next : word) : program;
    if (wanted === "" || wanted.startsWith("-") || wanted.includes("=")) return null;
    const places = wanted.includes("/") ? [wanted] : this.#placesOf(appDir, wanted);
    for (const place of places) if ((await accessObstacle(place, EXECUTE, uid)) === null) return null;
    return `${file} needs the interpreter ${JSON.stringify(wanted)}, which is not there`;
  }

  async #reach(name: string, word: string, uid: number | null): Promise<string> {
    if (!isAbsolute(word) || (await accessObstacle(word, READ, uid)) === null) return word;
    if ((await stat(word).catch(() => null))?.isFile() !== true) return word;
    return offerModule(word, join(this.#options.dir, `${name}.files`));
  }
}

async function builtInResolution(
  name: string,
  words: readonly string[],
  rest: readonly string[],
  uid: number | null,
): Promise<Resolution> {
  for (const [index, word] of words.entries()) {
    if (!isAbsolute(word)) continue;
    const obstacle = await accessObstacle(word, index === 0 ? EXECUTE : READ, uid);
    if (obstacle === null) continue;
    const why = obstacle === "absent" ? `${word} does not exist` : obstacle;
    return { found: false, message: `The program ${JSON.stringify(name)} cannot be used: ${why}.` };
  }
  return { found: true, argv: [...words, ...rest] };
}

/** Those that a user may pass through; what is not there now may come. */
async function openFolders(folders: readonly string[], uid: number): Promise<readonly string[]> {
  const closed = await Promise.all(folders.map((folder) => closedFolder(folder, uid).catch(() => null)));
  return folders.filter((_, index) => closed[index] === null);
}

/** Images lay out their files below `/app`; here that folder lies elsewhere. */
function inApp(name: string, appDir: string): string {
  if (name.startsWith("/app/")) return join(appDir, name.slice("/app/".length));
  return isAbsolute(name) ? name : join(appDir, name);
}

/** Why a user may not use a file: null when nothing is in the way, `absent` when there is no such file. */
export async function accessObstacle(
  file: string,
  permission: number,
  uid: number | null,
): Promise<string | null> {
  let real: string;
  try {
    real = await realpath(file);
    const target = await stat(real);
    if (!target.isFile()) return `${file} is not a file`;
    if (uid === null) {
      const mode = permission === EXECUTE ? constants.X_OK : constants.R_OK;
      return await access(real, mode).then(
        () => null,
        () => `${file} is not ${permission === EXECUTE ? "executable" : "readable"}`,
      );
    }
    if (!allows(target, permission, uid))
      return `${file} is not ${permission === EXECUTE ? "executable" : "readable"} for the app's user`;
  } catch {
    return "absent";
  }
  const closed = (await closedFolder(dirname(real), uid)) ?? (await closedFolder(dirname(file), uid));
  return closed === null
    ? null
    : `${file} is out of reach for the app's user, because ${closed} is closed to it`;
}

/** The first folder on the way to `dir`, and `dir` itself, that a user may not pass through; null when all are open. */
export async function closedFolder(dir: string, uid: number): Promise<string | null> {
  const folders = [await realpath(dir)];
  for (let folder = folders[0] ?? "/"; folder !== "/"; folder = dirname(folder))
    folders.push(dirname(folder));
  for (const folder of folders.reverse()) if (!allows(await stat(folder), EXECUTE, uid)) return folder;
  return null;
}

/** An instance's user is in no group but its own. */
function allows(
  target: { readonly mode: number; readonly uid: number },
  permission: number,
  uid: number,
): boolean {
  const shift = target.uid === uid ? 6 : 0;
  return (target.mode & (permission << shift)) !== 0;
}

/** The words of a script's first line (execve(2), "Interpreter scripts"); null for other files. */
async function readShebang(file: string): Promise<readonly string[] | null> {
  const handle = await open(file, "r").catch(() => null);
  if (handle === null) return null;
  try {
    const buffer = Buffer.alloc(SHEBANG_BYTES_MAX);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
    const line = buffer.subarray(0, bytesRead).toString("latin1").split("\n")[0] ?? "";
    if (!line.startsWith("#!")) return null;
    // A carriage return stays: it is part of the name that the kernel looks for, and the usual reason why that fails.
    return line
      .slice(2)
      .replace(/^[ \t]+/, "")
      .split(/[ \t]+/);
  } finally {
    await handle.close();
  }
}
