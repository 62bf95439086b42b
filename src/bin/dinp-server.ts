#!/usr/bin/env node
import { serverProgram } from "./server/program.js";
import { runProgram } from "./service/run-program.js";
import { packageVersion } from "./service/version.js";

process.exitCode = await runProgram(serverProgram, packageVersion(import.meta.url), process);
