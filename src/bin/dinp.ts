#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createCli } from "@dinp/core/cli";
import { hostBaseNames } from "@dinp/core/host-base";
import { packDirectory } from "@dinp/core/tar";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const { version } = JSON.parse(readFileSync(here("../../package.json"), "utf8")) as {
  readonly version: string;
};

const staticServer = here("./dinp-static.js");

// What only some commands need is loaded by them: most are over sooner than all of it would be read.
const shared: Parameters<typeof createCli>[0] = {
  packDirectory,
  makeBase: {
    names: hostBaseNames,
    make: async (name, options) => {
      const { hostBases } = await import("./host/host-bases.js");
      return await hostBases(staticServer, process.env).make(name, options);
    },
  },
  addSecretKey: async (keyFile) => {
    const { addSecretKey } = await import("@dinp/core/system");
    return await addSecretKey({ keyFile });
  },
  parseYaml: async (text) => {
    const { parseYaml } = await import("@dinp/core/yaml");
    return parseYaml(text);
  },
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  version,
};

const cli = createCli({
  ...shared,
  up: async (options) => {
    const { up } = await import("./embedded/up.js");
    return await up(options, { version, staticServer, runCli: (argv) => createCli(shared).run(argv) });
  },
});

process.exitCode = await cli.run(process.argv.slice(2));
