import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { addSecretKey } from "@dinp/core/system";
import { expect, it } from "vitest";
import { usePlatform } from "./use-platform.js";

const CANARY = "canary-0b7e correct horse";
const SECOND = "canary-second\nline two of it";
const TRACE = /canary/;
/** A rollout is complete before the instances that it replaces are off their routes. */
const SOON = { timeout: 60_000 };
const app = `
const { createServer } = require("node:http");
if (process.env.FAIL) {
  console.error("refused", process.env.TOKEN);
  process.exit(3);
}
createServer((request, answer) => answer.end(JSON.stringify([process.env.TOKEN ?? "none", process.env.COLOR])))
  .listen(Number(process.env.PORT));
process.on("SIGTERM", () => process.exit(0));
`;

const { platform, dinp, ok } = usePlatform(async () => {
  const manifest = "command: [node, server.js]\ncpu: 0.01\nmemory: 96M\nenv: {COLOR: seen-in-records}\n";
  await platform.files("shop", { "server.js": app, "dinp.yaml": manifest });
  await ok(["push", "shop"]);
});

const answered = async (): Promise<unknown> => JSON.parse((await platform.get("shop.apps.localhost")).body);

/** The text of every file below a folder but the key's. What is removed meanwhile has none. */
async function textBelow(folder: string): Promise<string> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const texts = entries.map(async (entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return await textBelow(path);
    const isText = entry.isFile() && entry.name !== "secrets.key";
    return isText ? await readFile(path, "latin1").catch(() => "") : "";
  });
  return (await Promise.all(texts)).join("\n");
}

it("reaches the app and the commands beside it, and nothing else, whatever is done", async () => {
  let told = "";
  const run = async (argv: readonly string[], input?: string): Promise<void> => {
    const { out, err } = await dinp(argv, input === undefined ? {} : { input });
    told += out + err;
  };
  await run(["env", "set", "shop", "--secret", "TOKEN"], `${CANARY}\n`);
  await expect.poll(answered, SOON).toEqual([CANARY, "seen-in-records"]);
  expect((await ok(["env", "shop"])).out).toMatch(
    /^TOKEN +dinp env set +\(secret, version 1, set \d{4}-\d\d-\d\d\)$/m,
  );
  await run(["env", "set", "shop", "--secret", "TOKEN"], `${SECOND}\n`);
  await expect.poll(answered, SOON).toEqual([SECOND, "seen-in-records"]);

  const print = ["node", "-e", "process.stdout.write(process.env.TOKEN)"];
  expect((await ok(["exec", "shop", "--", ...print])).out).toBe(SECOND);
  expect((await ok(["run", "shop", "--", ...print])).out).toBe(SECOND);
  // A command that names a secret is written down without it.
  await run(["run", "shop", "--", "node", "-e", "0", `x=${SECOND}`]);

  await run(["plan", "shop"]);
  await run(["env", "set", "shop", "FAIL=1", "--timeout", "20"]);
  await run(["explain", "shop"]);
  await run(["rollback", "shop", "2"]);
  await expect.poll(answered, SOON).toEqual([SECOND, "seen-in-records"]);
  await run(["rollback", "shop", "2", "--old-secrets"]);
  await expect.poll(answered, SOON).toEqual([CANARY, "seen-in-records"]);
  await run(["env", "set", "shop", `TOKEN=${CANARY}`]);
  for (const argv of [
    ["app", "shop", "--json"],
    ["releases", "shop", "--json"],
    ["events", "--json"],
    ["env", "shop", "--json"],
    ["builds", "shop", "--json"],
    ["nodes", "--json"],
  ])
    await run(argv);

  const records = await platform.everything();
  const files = await textBelow(platform.folder);
  // What is looked through holds what is no secret.
  expect(records).toContain("seen-in-records");
  expect(records).toContain('\\"msg\\":');
  expect(files).toContain("seen-in-records");
  // A plain value that the user types is an argument of the user's own command, which is not told again.
  for (const [where, text] of Object.entries({ told, records, files }))
    expect(text, where).not.toMatch(TRACE);
}, 240_000);

it("is asked for when it comes from a terminal, and there must be one", async () => {
  expect(await dinp(["env", "set", "shop", "--secret", "TOKEN"], { input: "" })).toMatchObject({
    code: 2,
    err: expect.stringContaining("There is no value"),
  });
  expect(await dinp(["env", "set", "shop"])).toMatchObject({ code: 2 });
  const asked = await dinp(["env", "set", "shop", "--secret", "ASKED"], {
    input: "typed-value\n",
    tty: true,
  });
  expect(asked.code).toBe(0);
  expect(asked.err).toContain("Value of ASKED: ");
  expect(asked.out + asked.err).not.toContain("typed-value");
});

it("is sealed with keys that can be changed and looked at", async () => {
  const keyFile = join(platform.folder, "secrets.key");
  const options = { options: { addSecretKey: (file: string) => addSecretKey({ keyFile: file }) } };
  const rotated = await ok(["secrets", "rotate", "--key-file", keyFile], options);
  const [next = ""] = /k[0-9a-f]{12}/.exec(rotated.err) ?? [];
  await platform.tidy();
  const keys = await ok(["secrets", "keys"]);
  expect(keys.out).toMatch(new RegExp(`^${next} +seals +[1-9]`, "m"));
  const [, old = ""] = /Nothing is sealed with (k[0-9a-f]{12}):/.exec(keys.err) ?? [];
  const lines = (await readFile(keyFile, "utf8")).split("\n").filter((line) => !line.startsWith(old));
  await writeFile(keyFile, lines.join("\n"));
  const print = ["node", "-e", "process.stdout.write(process.env.TOKEN)"];
  expect((await ok(["run", "shop", "--", ...print])).out).toBe(CANARY);
});
