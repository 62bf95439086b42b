import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import type { LayerFile } from "./images.js";

const execute = promisify(execFile);
const CACHE = fileURLToPath(new URL("../../../.cache/docker-tests", import.meta.url));
const PYTHON = "/usr/bin/python3";

let layer: Promise<LayerFile> | null = null;

/** Debian's Python with pip and the libraries that they name, from this machine: assembled once for all tests of it. */
export function pythonLayer(): Promise<LayerFile> {
  layer ??= makePythonLayer();
  return layer;
}

async function makePythonLayer(): Promise<LayerFile> {
  const { stdout: shown } = await execute(PYTHON, [
    "-c",
    "import sys, sysconfig; print(sysconfig.get_path('stdlib')); print(sys.version.split()[0])",
  ]);
  const [library = "", version = ""] = shown.trim().split("\n");
  const path = join(CACHE, `python-${version}-${process.arch}.tar`);
  const known = await readFile(`${path}.json`, "utf8").catch(() => null);
  if (known !== null) return { path, ...(JSON.parse(known) as Omit<LayerFile, "path">) };
  const short = version.split(".").slice(0, 2).join(".");
  const find = await execute("find", [`${library}/lib-dynload`, "-name", "*.so"]);
  const { stdout: linked } = await execute("ldd", [PYTHON, ...find.stdout.trim().split("\n")], {
    maxBuffer: 16 * 1024 ** 2,
  });
  const libraries = new Set([...linked.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, file]) => file ?? ""));
  const packages = ["pip", "setuptools", "pkg_resources", "wheel", "_distutils_hack"];
  const folders = packages.map((name) => `/usr/lib/python3/dist-packages/${name}`);
  const wanted = [PYTHON, `/usr/bin/python${short}`, library, ...folders, ...libraries];
  const names: string[] = [];
  for (const name of wanted) if ((await stat(name).catch(() => null)) !== null) names.push(name.slice(1));
  await mkdir(CACHE, { recursive: true });
  const own = `${path}.${String(process.pid)}`;
  await execute("tar", [
    ...["--create", "--file", own, "--directory", "/", "--dereference", "--hard-dereference", "--owner=0"],
    ...["--group=0", "--exclude=__pycache__", "--exclude=*/test", "--exclude=*/config-*", ...names],
  ]);
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(own)) hash.update(chunk as Buffer);
  const facts = { digest: `sha256:${hash.digest("hex")}`, size: (await stat(own)).size };
  await rename(own, path);
  await writeFile(`${own}.json`, JSON.stringify(facts));
  await rename(`${own}.json`, `${path}.json`);
  await rm(own, { force: true });
  return { path, ...facts };
}
