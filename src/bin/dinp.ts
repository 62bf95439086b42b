#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createCli } from "@dinp/core/cli";
import { packDirectory } from "@dinp/core/tar";
import { parseYaml } from "@dinp/core/yaml";
import { up } from "./embedded/up.js";
import { hostBases } from "./host/host-bases.js";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const { version } = JSON.parse(readFileSync(here("../../package.json"), "utf8")) as {
  readonly version: string;
};

const staticServer = here("./dinp-static.js");

const shared = {
  packDirectory,
  makeBase: hostBases(staticServer, process.env),
  parseYaml,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  version,
};

const cli = createCli({
  ...shared,
  up: (options) =>
    up(options, {
      version,
      staticServer,
      runCli: (argv) => createCli(shared).run(argv),
    }),
});

process.exitCode = await cli.run(process.argv.slice(2));
