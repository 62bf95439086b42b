import { execFile } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { MARK } from "../../../scripts/lib/services/owned-process.mjs";
import { certificatesOf } from "./backing-services.mjs";
import { programsOfKind } from "./programs.mjs";

/** @typedef {import("./plan.mjs").Plan} Plan */

const execute = promisify(execFile);
const program = fileURLToPath(new URL("../../../dist/bin/dinp.js", import.meta.url));
const COMMAND_MS_MAX = 300_000;

/** The environment in which `dinp` speaks to this cluster, as its administrator. @param {Plan} plan */
export function userEnvironment(plan) {
  const [server] = programsOfKind(plan, "dinp-server");
  return {
    DINP_API: `https://${server?.address ?? ""}:7080`,
    XDG_CONFIG_HOME: join(plan.folder, "config"),
    NODE_EXTRA_CA_CERTS: certificatesOf(plan).ca,
  };
}

/** Runs a `dinp` command; resolves to its standard output, rejects with all that it said. @param {Plan} plan @param {readonly string[]} words @param {string} [input] */
export async function dinp(plan, words, input = "") {
  const env = {
    ...{ PATH: process.env["PATH"], HOME: plan.folder, NO_COLOR: "1", [MARK]: plan.folder },
    ...userEnvironment(plan),
  };
  const running = execute(process.execPath, [program, ...words], { env, timeout: COMMAND_MS_MAX });
  running.child.stdin?.end(input);
  try {
    return (await running).stdout;
  } catch (error) {
    const said = error instanceof Error && "stderr" in error ? String(error.stderr).trim() : String(error);
    throw new Error(`dinp ${words.join(" ")} failed: ${said}`, { cause: error });
  }
}
