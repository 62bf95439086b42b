import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import { helpOf } from "../../src/bin/config/describe-config.js";
import { ConfigError, loadConfig } from "../../src/bin/config/load-config.js";
import { serverSection } from "../../src/bin/config/server-section.js";
import {
  choice,
  duration,
  flag,
  hostPort,
  integer,
  listOf,
  optional,
  pair,
  portRange,
  shownValue,
  text,
  url,
} from "../../src/bin/config/setting.js";

const settings = {
  shop: {
    listen: hostPort({ doc: "where it listens", default: "127.0.0.1:80" }),
    waitTime: duration({ minMs: 0, maxMs: 60_000 }, { doc: "how long it waits", default: "10s" }),
    names: listOf(text({ doc: "names" })),
    isOpen: flag({ doc: "whether it is open" }),
    size: integer({ min: 1, max: 9 }, { doc: "its size", default: "3" }),
    ports: optional(portRange({ doc: "its ports" })),
  },
  store: {
    url: url(["postgres"], { doc: "the database", secret: true }),
    mode: choice(["fast", "safe"], { doc: "how", default: "safe" }),
  },
} as const;

const db = "postgres://dinp:secret@db/dinp";

interface Given {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly file?: string;
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "dinp-config-"));
  onTestFinished(() => rm(path, { recursive: true }));
  return path;
}

async function load({ args = [], env = {}, file }: Given) {
  const path = file === undefined ? null : join(await folder(), "dinp.yaml");
  if (path !== null && file !== undefined) await writeFile(path, file);
  return await loadConfig(settings, {
    args: path === null ? args : [...args, "--config", path],
    env,
    ownSection: "shop",
    known: settings,
  });
}

async function problemsOf(given: Given): Promise<readonly string[]> {
  try {
    await load(given);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe("the configuration", () => {
  it("takes flags before variables before the file before defaults, and says where each came from", async () => {
    const { values, origins } = await load({
      args: ["--listen", "[::1]:1", "--store-mode=fast"],
      env: { DINP_SHOP_LISTEN: "2", DINP_SHOP_WAIT_TIME: "500ms", DINP_STORE_URL: db },
      file: "shop:\n  listen: 3\n  waitTime: 4s\n  names: [a, b]\n  isOpen: true\nstore:\n  mode: safe\n",
    });
    expect(values).toEqual({
      shop: {
        listen: { host: "::1", port: 1 },
        waitTime: 500,
        names: ["a", "b"],
        isOpen: true,
        size: 3,
        ports: null,
      },
      store: { url: db, mode: "fast" },
    });
    expect(Object.fromEntries(origins)).toMatchObject({
      "shop.listen": "--listen",
      "shop.waitTime": "DINP_SHOP_WAIT_TIME",
      "shop.names": expect.stringMatching(/dinp\.yaml$/),
      "shop.size": "default",
      "store.mode": "--store-mode",
    });
  });

  it("reads secrets from files, without the line feed at their end", async () => {
    const path = join(await folder(), "url");
    await writeFile(path, `${db}\n`);
    const ways: readonly Given[] = [
      { env: { DINP_STORE_URL_FILE: path } },
      { args: ["--store-url-file", path] },
      { file: `store:\n  urlFile: ${path}\n` },
    ];
    for (const given of ways) expect((await load(given)).values.store.url).toBe(db);
    expect(await problemsOf({ env: { DINP_STORE_URL_FILE: `${path}-none` } })).toEqual([
      expect.stringMatching(/-none" cannot be read \(.*ENOENT.*\); DINP_STORE_URL_FILE names it$/),
    ]);
  });

  it("names every key that is wrong at once, with its value, where it came from and what it must be", async () => {
    const problems = await problemsOf({
      args: ["--size", "12"],
      env: { DINP_STORE_URL: "mysql://dinp:geheim@db/dinp", DINP_SHOP_WAIT_TIME: "soon" },
      file: "shop:\n  isOpen: maybe\n  ports: 9-1\n  lisen: 1\n  names: {a: b}\nstor:\n  mode: fast\n",
    });
    expect(problems.map((problem) => problem.replace(/\/\S*dinp\.yaml/, "FILE"))).toEqual([
      "shop.lisen is no setting; did you mean shop.listen? (from FILE)",
      "shop.names must be a single value (from FILE)",
      "stor is no section; did you mean store? (from FILE)",
      'shop.waitTime must be a duration such as 500ms, 10s or 5m, from 0ms to 1m, not "soon" (from DINP_SHOP_WAIT_TIME)',
      'shop.isOpen must be true or false, not "maybe" (from FILE)',
      'shop.size must be a whole number from 1 to 9, not "12" (from --size)',
      'shop.ports must be a range of ports, such as 20000-29999, not "9-1" (from FILE)',
      "store.url must be a URL that begins with postgres://, its value is not shown (from DINP_STORE_URL)",
    ]);
  });

  it("says how a missing value is given", async () => {
    expect(await problemsOf({})).toEqual([
      "store.url is missing: the database. Give it in the file, as DINP_STORE_URL or DINP_STORE_URL_FILE, or with --store-url",
    ]);
    // As shells leave variables that have no value.
    expect(await problemsOf({ env: { DINP_STORE_URL: "" } })).toHaveLength(1);
  });

  it("says what is wrong with a file that is none, cannot be read or is no configuration", async () => {
    const env = { DINP_STORE_URL: db };
    expect(await problemsOf({ env, args: ["--config", "/nowhere/dinp.yaml"] })).toEqual([
      expect.stringMatching(/^the configuration file "\/nowhere\/dinp.yaml" cannot be used: .*ENOENT/),
    ]);
    for (const file of ["shop: [", "- a", "just text", "a: b: c"])
      expect(await problemsOf({ env, file })).toEqual([expect.stringMatching(/cannot be used: /)]);
    // What else is missing may be in it.
    expect(await problemsOf({ file: "shop: [" })).toEqual([expect.stringMatching(/cannot be used: /)]);
    expect(await problemsOf({ env, file: "shop: 1\nstore:\n" })).toEqual([
      expect.stringMatching(/^shop must be a section/),
    ]);
    expect(await problemsOf({ env, file: "" })).toEqual([]);
    const path = join(await folder(), "dinp.yaml");
    await writeFile(path, " ".repeat(1024 * 1024 + 1));
    await chmod(path, 0o600);
    expect(await problemsOf({ env, args: ["--config", path] })).toEqual([
      expect.stringMatching(/larger than 1 MiB/),
    ]);
  });

  it("knows no flag that it does not have, and takes no value as a flag", async () => {
    expect(await problemsOf({ args: ["--shop-listen", "1"] })).toEqual([
      expect.stringMatching(/^Unknown option '--shop-listen'/),
    ]);
    expect(await problemsOf({ args: ["run"] })).toEqual([
      expect.stringMatching(/^Unexpected argument 'run'/),
    ]);
  });

  it("never shows a secret, and never fails but with its own error, whatever is given", async () => {
    const word = fc.oneof(fc.string(), fc.constantFrom("1", "9s", "a=b", "[::1]:70000", "\u0000", "%"));
    await fc.assert(
      fc.asyncProperty(word, word, word, async (one, other, file) => {
        const secret = `postgre://u:geheim@${other}`;
        const env = { DINP_SHOP_LISTEN: one, DINP_SHOP_PORTS: other, DINP_STORE_URL: secret };
        const problems = await problemsOf({ env, args: [`--size=${one}`], file });
        expect(problems.length).toBeGreaterThan(0);
        expect(problems.join("\n")).not.toContain("geheim");
      }),
    );
  });

  it("is described with its flags, forms and defaults", () => {
    const help = helpOf(settings, "shop");
    expect(help).toContain("--listen HOST:PORT                  where it listens (default 127.0.0.1:80)\n");
    expect(help).toContain("--store-url URL                     the database (required)\n");
    expect(help).toContain("--names TEXT,…");
  });
});

describe("a value that is shown", () => {
  const common = { doc: "x" };
  const listens = hostPort(common);
  it.each([
    [listens, "127.0.0.1:7080", "127.0.0.1:7080"],
    [listens, "[::1]:7080", "[::1]:7080"],
    [listOf(listens), "10.0.0.1:1,10.0.0.2:2", "10.0.0.1:1,10.0.0.2:2"],
    [listOf(listens), "", "none"],
    [duration({ minMs: 0, maxMs: 1e9 }, common), "10s", "10s"],
    [duration({ minMs: 0, maxMs: 1e9 }, common), "1500ms", "1500ms"],
    [portRange(common), "20000-29999", "20000-29999"],
    [listOf(pair(common)), "zone=a,disk=", "zone=a,disk="],
    [integer({ min: 0, max: 9 }, common), "7", "7"],
    [flag(common), "true", "true"],
    [text(common), "a\nb", '"a\\nb"'],
  ])("is as it would be written (%#)", (of, written, shown) => {
    expect(shownValue(of, of.parse(written))).toBe(shown);
  });
});

describe("a server's lostAfter", () => {
  it("is longer than two signs of life of an agent are apart", () => {
    expect(() => serverSection.lostAfter.parse("9s")).toThrow("10s");
    expect(serverSection.lostAfter.parse("10s")).toBe(10_000);
  });
});
