#!/usr/bin/env node
import { dashProgram } from "./dash/program.js";
import { runProgram } from "./service/run-program.js";
import { packageVersion } from "./service/version.js";

process.exitCode = await runProgram(dashProgram(import.meta.url), packageVersion(import.meta.url), process);
