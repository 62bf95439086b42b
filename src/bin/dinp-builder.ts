#!/usr/bin/env node
import { builderProgram } from "./builder/program.js";
import { runProgram } from "./service/run-program.js";
import { packageVersion } from "./service/version.js";

process.exitCode = await runProgram(builderProgram, packageVersion(import.meta.url), process);
