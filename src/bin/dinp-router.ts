#!/usr/bin/env node
import { routerProgram } from "./router/program.js";
import { runProgram } from "./service/run-program.js";
import { packageVersion } from "./service/version.js";

process.exitCode = await runProgram(routerProgram, packageVersion(import.meta.url), process);
