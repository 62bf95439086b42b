#!/usr/bin/env node
import { hmProgram } from "./hm/program.js";
import { runProgram } from "./service/run-program.js";
import { packageVersion } from "./service/version.js";

process.exitCode = await runProgram(hmProgram, packageVersion(import.meta.url), process);
