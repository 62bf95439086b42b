import { execFile } from "node:child_process";
import { realpath } from "node:fs/promises";
import { dirname } from "node:path";
import { promisify } from "node:util";
import type { HostBaseName } from "./names.js";

const execute = promisify(execFile);
const TIMEOUT_MS = 20_000;

/** What a base consists of, besides what all have. */
export interface Kit {
  /** Programs that must be there, by name. */
  readonly programs: readonly string[];
  /** Programs of the platform itself that go with it. */
  readonly platformPrograms: readonly string[];
  /** Where the files of a program lie that it reads at run time; `path`: the program's own. */
  readonly files: (path: (program: string) => string) => Promise<readonly string[]>;
}

/** Debian's Tomcat finds its compiler of JSPs by a line in the manifest of one of its jars alone. */
const JSP_COMPILERS = ["/usr/share/java/eclipse-jdt-core.jar", "/usr/share/java/ecj.jar"];

const none = (): Promise<readonly string[]> => Promise.resolve([]);

export const kits: Readonly<Record<HostBaseName, Kit>> = {
  linux: { programs: [], platformPrograms: [], files: none },
  // The same, so that both are stored and loaded once.
  static: { programs: ["node"], platformPrograms: ["dinp-static"], files: none },
  node: { programs: ["node"], platformPrograms: ["dinp-static"], files: none },
  python: {
    programs: ["python3"],
    platformPrograms: [],
    files: async (path) => pythonFiles(path("python3")),
  },
  php: { programs: ["php"], platformPrograms: [], files: async (path) => phpFiles(path("php")) },
  java: { programs: ["java"], platformPrograms: [], files: async (path) => [await javaHome(path("java"))] },
  tomcat: {
    programs: ["java"],
    platformPrograms: ["dinp-tomcat"],
    files: async (path) => [await javaHome(path("java")), ...JSP_COMPILERS],
  },
};

/** Programs that every base has where the machine has them: a shell, and what scripts of apps use. */
export const commonPrograms: readonly string[] = [
  ..."sh env cat ls cp mv rm mkdir rmdir ln chmod touch readlink realpath basename dirname pwd stat mktemp".split(
    " ",
  ),
  ..."head tail wc tr cut sort uniq tee sed grep awk find xargs printf echo test true false expr seq".split(
    " ",
  ),
  ..."sleep kill timeout date id whoami uname hostname nproc df du tar gzip sha256sum base64".split(" "),
];

/** Where scripts look for their shell; certificates, names of types and of time zones. */
export const commonFiles: readonly string[] = [
  "/bin/sh",
  "/usr/bin/env",
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/ssl/openssl.cnf",
  "/usr/lib/ssl",
  "/usr/share/zoneinfo",
  "/etc/mime.types",
];

async function pythonFiles(python: string): Promise<readonly string[]> {
  const code = "import sysconfig as s; print(s.get_path('stdlib')); print(s.get_path('platstdlib'))";
  return lines(await output(python, ["-I", "-c", code]));
}

async function phpFiles(php: string): Promise<readonly string[]> {
  const code = 'echo PHP_EXTENSION_DIR, "\\n", PHP_CONFIG_FILE_PATH, "\\n", PHP_CONFIG_FILE_SCAN_DIR, "\\n";';
  return lines(await output(php, ["-r", code]));
}

/** Two folders above the program itself. */
async function javaHome(java: string): Promise<string> {
  return dirname(dirname(await realpath(java)));
}

async function output(program: string, args: readonly string[]): Promise<string> {
  return (await execute(program, args, { encoding: "utf8", timeout: TIMEOUT_MS })).stdout;
}

function lines(text: string): readonly string[] {
  return [...new Set(text.split("\n").filter((line) => line.startsWith("/")))];
}
