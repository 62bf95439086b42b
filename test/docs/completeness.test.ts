import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { markdownOf } from "../../src/bin/config/describe-config.js";
import { allSettings } from "../../src/bin/config/all-settings.js";
import { exitCodes } from "../../src/adapters/cli/index.js";
import { runCli } from "../cli/run-cli.js";
import { pagesOf, projectRoot } from "./markdown.js";

const pages = new Map(pagesOf(projectRoot).map((page) => [page.path, page]));
const options = { up: () => Promise.resolve(0) };

function textOf(path: string): string {
  return pages.get(path)?.text ?? "";
}

test("the README names every command", async () => {
  const { out } = await runCli(["--help"], { options });
  const commands = [...out.matchAll(/^ {2}([a-z]+)\b/gm)].map(([, name]) => name ?? "");
  expect(commands.length).toBeGreaterThan(15);
  const readme = textOf("README.md");
  expect(commands.filter((name) => !readme.includes(`dinp ${name}`))).toEqual([]);
});

test("the page of the configuration has every setting as the programs describe it", () => {
  const plain = (text: string): string => text.replaceAll(/ +/g, " ").replaceAll(/-{3,}/g, "---");
  const page = plain(textOf("docs/configuration.md"));
  const rows = markdownOf(allSettings)
    .split("\n")
    .filter((row) => /^(\||#)/.test(row) && !row.startsWith("|---"));
  expect(rows.length).toBeGreaterThan(10);
  expect(rows.filter((row) => !page.includes(plain(row)))).toEqual([]);
});

test("the operator's page has every flag of dinp up, and every exit code", async () => {
  const { out } = await runCli(["up", "--help"], { options });
  const flags = [...out.matchAll(/^ {2}.*?(--[a-z-]+)/gm)].map(([, flag]) => flag ?? "");
  expect(flags).toEqual(expect.arrayContaining(["--api", "--data", "--runtime"]));
  const page = textOf("docs/operating.md");
  const missing = flags.filter((flag) => flag !== "--help" && !page.includes(`\`${flag}`));
  expect(missing).toEqual([]);
  const codes = Object.values(exitCodes).filter(
    (code) => !new RegExp(`^\\| ${String(code)} `, "m").test(page),
  );
  expect(codes).toEqual([]);
});

test("the guide for authors of adapters names all that a harness gives", () => {
  const report = readFileSync(join(projectRoot, "etc/testing.api.md"), "utf8").replaceAll("\r\n", "\n");
  const harnesses = [...report.matchAll(/^export interface \w+(?:Harness|UnderTest) \{\n([^]*?)^\}/gm)];
  const members = harnesses.flatMap(([, body = ""]) =>
    [...body.matchAll(/^ {4}(?:readonly )?(\w+)/gm)].map(([, name]) => name ?? ""),
  );
  expect(members.length).toBeGreaterThan(15);
  const guide = textOf("docs/writing-an-adapter.md");
  expect(members.filter((name) => !new RegExp(`\\b${name}\\b`).test(guide))).toEqual([]);
});

test("the architecture has every entry of the package", () => {
  const { exports } = JSON.parse(readFileSync(join(projectRoot, "package.json"), "utf8")) as {
    readonly exports: Readonly<Record<string, unknown>>;
  };
  const names = Object.keys(exports).map((entry) => entry.replace(/^\./, "@dinp/core"));
  const page = textOf("docs/architecture.md");
  const missing = names.filter((name) => !name.endsWith("package.json") && !page.includes(`\`${name}\``));
  expect(missing).toEqual([]);
});
