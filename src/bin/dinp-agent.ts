#!/usr/bin/env node
import { fileURLToPath } from "node:url";
import { createAgentProgram } from "./agent/program.js";
import { runProgram } from "./service/run-program.js";
import { packageVersion } from "./service/version.js";

const staticServer = fileURLToPath(new URL("./dinp-static.js", import.meta.url));

process.exitCode = await runProgram(
  createAgentProgram(staticServer),
  packageVersion(import.meta.url),
  process,
);
