// Runs the built programs: with vitest alone, run `npm run build` first.
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { makeCertificates } from "../../scripts/lib/services/certificates.mjs";
import { programs } from "../../src/bin/programs.js";
import { blocksUnder, pagesOf } from "../docs/markdown.js";
import { projectRoot, runProgram, temporaryFolder } from "../e2e/harness.js";

const folder = join(projectRoot, "examples/systemd");
const inCi = (process.env["CI"] ?? "") !== "";

/** What follows `KEY=` in a unit, lines that go on being joined; each time that it is there. */
function valuesOf(unit: string, key: string): readonly string[] {
  const lines = unit.replaceAll(/\\\n\s*/g, "").split("\n");
  return lines.filter((line) => line.startsWith(`${key}=`)).map((line) => line.slice(key.length + 1));
}

/** A machine's `/etc/dinp`: the configuration that the page on clusters shows, and what is secret. */
async function configured(): Promise<{ readonly path: string }> {
  const machine = await temporaryFolder();
  onTestFinished(machine.remove);
  const page = pagesOf(projectRoot).find(({ path }) => path === "docs/cluster.md");
  const blocks = page === undefined ? [] : blocksUnder(page, "3-configure");
  const config = blocks.find(({ about }) => about === "/etc/dinp/dinp.yaml")?.text ?? "";
  const { ca, certificate, key } = await makeCertificates(machine.path);
  const credentials = {
    "store-url": "postgres://dinp:secret@127.0.0.1:5432/dinp\n",
    "table-url": "redis://127.0.0.1:6379\n",
    "join-token": "dinpj_0\n",
    "router-token": "dinp_0\n",
    "secrets.key": "",
    "tls.pem": await readFile(certificate, "utf8"),
    "tls.key": await readFile(key, "utf8"),
  };
  await mkdir(join(machine.path, "credentials"));
  for (const [name, text] of Object.entries(credentials))
    await writeFile(join(machine.path, "credentials", name), text);
  await writeFile(join(machine.path, "dinp.yaml"), config.replaceAll("/etc/dinp/ca.pem", ca));
  return machine;
}

test("every program has a unit, and every unit a program", async () => {
  const units = (await readdir(folder)).map((name) => name.replace(/\.service$/, ""));
  expect(units.sort()).toEqual(Object.keys(programs).sort());
});

test.for(Object.keys(programs))("%s takes what its unit gives it", { timeout: 240_000 }, async (name) => {
  const { path } = await configured();
  const unit = await readFile(join(folder, `${name}.service`), "utf8");
  const [command = "", ...others] = valuesOf(unit, "ExecStart");
  expect(others).toEqual([]);
  const loaded = valuesOf(unit, "LoadCredential").map((value) => value.split(":"));
  for (const [id = "", from] of loaded) expect(from).toBe(`/etc/dinp/credentials/${id}`);
  const used = [...command.matchAll(/\$\{CREDENTIALS_DIRECTORY\}\/(\S+)/g)].map(([, id]) => id);
  expect(used).toEqual(loaded.map(([id]) => id));
  expect(command.includes("${STATE_DIRECTORY}")).toBe(valuesOf(unit, "StateDirectory").includes(name));
  const [program = "", ...args] = command
    .replaceAll("${CREDENTIALS_DIRECTORY}", join(path, "credentials"))
    .replaceAll("${STATE_DIRECTORY}", join(path, "data"))
    .replaceAll("/etc/dinp/dinp.yaml", join(path, "dinp.yaml"))
    .replaceAll("%l", "a")
    .split(" ");
  const checked = await runProgram(process.execPath, [
    ...[join(projectRoot, `dist/bin/${program}.js`), ...args, "--check-config"],
  ]);
  expect(checked.code, checked.stderr).toBe(0);
});

test("systemd finds nothing wrong with the units", { timeout: 240_000 }, async ({ skip }) => {
  const found = await runProgram("systemd-analyze", ["--version"]).catch(() => null);
  if (found === null && !inCi) skip("there is no systemd-analyze on this machine");
  const { path } = await configured();
  const units = await Promise.all(
    Object.keys(programs).map(async (name) => {
      const unit = await readFile(join(folder, `${name}.service`), "utf8");
      const copy = join(path, `${name}.service`);
      // The programs are not installed here.
      await writeFile(copy, unit.replace(`ExecStart=${name}`, "ExecStart=/bin/true"));
      return copy;
    }),
  );
  const verified = await runProgram("systemd-analyze", ["verify", "--man=no", ...units]);
  expect([verified.code, verified.stdout, verified.stderr]).toEqual([0, "", ""]);
});
