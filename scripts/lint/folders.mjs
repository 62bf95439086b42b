/**
 * Who may import whom: the table behind the rule `dinp/folder-imports`. The first row whose `folder` holds a file is
 * the file's row; its own folder it may always import. A file of `src` without a row is refused.
 *
 * - `folder`: with `*` for any one name. A folder ending in `/.` means its own files only, without its subfolders.
 * - `folders`: may be imported by relative path.
 * - `names`: public names of this package that may be imported.
 * - `packages`: npm packages that may be imported. A package of `drivers` is allowed where that table says.
 * - `node`: whether `node:` modules may be imported.
 *
 * @typedef {{
 *   folder: string,
 *   folders?: readonly string[],
 *   names?: readonly RegExp[],
 *   packages?: readonly string[],
 *   node?: boolean,
 * }} Row
 */

const model = "src/core/model";
const ports = "src/core/ports";
const plan = "src/core/plan";
const routing = "src/core/routing";
const probing = "src/core/probing";
const build = "src/core/build";
const platform = "src/core/platform";
const loops = "src/core/loops";
const testing = "src/core/testing";
const sql = "src/adapters/sql";
const runtime = "src/adapters/runtime";

/** Folders that decide and never wait: time and randomness are given to them as values. */
export const pureFolders = [plan, routing, probing, build];

/** @type {readonly Row[]} */
export const rows = [
  { folder: model },
  { folder: ports, folders: [model] },
  { folder: plan, folders: [model, ports] },
  { folder: routing, folders: [model, ports] },
  { folder: probing, folders: [model, ports] },
  { folder: build, folders: [model, ports] },
  { folder: platform, folders: [model, ports, build] },
  { folder: loops, folders: [model, ports, ...pureFolders, platform] },
  {
    folder: testing,
    folders: [model, ports, ...pureFolders, platform, loops, "src/core/."],
    node: true,
  },
  { folder: "src/core/.", folders: [model, ports, ...pureFolders, platform, loops] },
  { folder: "src/adapters/cli", names: [/^@dinp\/core(\/client)?$/], node: true },
  { folder: "src/adapters/dash/page", names: [/^@dinp\/core(\/client)?$/], packages: ["preact"] },
  { folder: "src/adapters/docker", folders: [runtime], names: [/^@dinp\/core$/], node: true },
  { folder: "src/adapters/process", folders: [runtime], names: [/^@dinp\/core$/], node: true },
  { folder: "src/adapters/pglite", folders: [sql], names: [/^@dinp\/core(\/tar)?$/], node: true },
  { folder: "src/adapters/*", folders: [sql], names: [/^@dinp\/core$/], node: true },
  {
    folder: "src/bin",
    names: [/^@dinp\/core(\/[a-z-]+)?$/],
    packages: ["tsyringe", "reflect-metadata"],
    node: true,
  },
];

/**
 * Each driver and the adapters that may import it: nothing else in `src` may, not even its types.
 *
 * @type {Readonly<Record<string, readonly string[]>>}
 */
export const drivers = {
  "@electric-sql/pglite": ["src/adapters/pglite"],
  "@hono/node-server": ["src/adapters/http-api"],
  "@hono/zod-openapi": ["src/adapters/http-api"],
  commander: ["src/adapters/cli"],
  dockerode: ["src/adapters/docker"],
  hono: ["src/adapters/http-api"],
  "http-proxy": ["src/adapters/http-proxy"],
  ioredis: ["src/adapters/redis"],
  kysely: ["src/adapters/pglite", sql],
  mysql2: ["src/adapters/mysql"],
  pg: ["src/adapters/postgres"],
  pino: ["src/adapters/system"],
  "prom-client": ["src/adapters/prometheus"],
  ws: ["src/adapters/websocket"],
  undici: ["src/adapters/url-fetch"],
  yaml: ["src/adapters/cli", "src/adapters/http-api", "src/adapters/yaml"],
  yauzl: ["src/adapters/zip"],
  zod: ["src/adapters/file", "src/adapters/http-api", "src/adapters/websocket"],
};

/** The web's globals that core may use besides the language's own: they neither wait nor touch the outside. */
export const coreGlobals = [
  "AbortController",
  "AbortSignal",
  "ReadableStream",
  "TextDecoder",
  "TextEncoder",
  "URL",
  "URLSearchParams",
  "structuredClone",
];
