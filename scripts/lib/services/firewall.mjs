import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { runCommand, tryCommand } from "./command.mjs";

const TABLES = ["filter", "nat"];
const CHAIN = /^DOCKER(?:-USER|-ISOLATION-STAGE-[12])?$/;

/** The rules of a table as `iptables -S` prints them; none without the tool. @param {string} table */
async function rulesOf(table) {
  const { code, output } = await tryCommand("iptables", ["-w", "10", "-t", table, "-S"]);
  return code === 0 ? output.split("\n").filter((line) => line !== "" && !line.startsWith("#")) : [];
}

/** Whether Docker's chains are there. */
export async function hasDockerChains() {
  return (await rulesOf("nat")).includes("-N DOCKER");
}

/**
 * Whether an engine other than that of `folder` runs in this network namespace.
 *
 * @param {string} folder
 */
export async function isOtherEngineHere(folder) {
  const here = readlinkSync("/proc/self/ns/net");
  return readdirSync("/proc").some((pid) => {
    try {
      if (readFileSync(`/proc/${pid}/comm`, "utf8") !== "dockerd\n") return false;
      if (readlinkSync(`/proc/${pid}/ns/net`) !== here) return false;
      return !readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`${folder}/`);
    } catch {
      return false;
    }
  });
}

/**
 * Deletes the rules that name one of these bridges or an address that begins so.
 *
 * @param {readonly string[]} bridges
 * @param {string} prefix
 */
export async function removeRules(bridges, prefix) {
  for (const table of TABLES) {
    const own = (await rulesOf(table)).filter((rule) => {
      const words = rule.split(" ");
      return (
        rule.startsWith("-A ") && words.some((word) => bridges.includes(word) || word.startsWith(prefix))
      );
    });
    for (const rule of own) await deleteRule(table, rule);
  }
}

/** Removes Docker's chains and the rules that lead to them, unless a chain still holds another's rules. */
export async function removeChains() {
  for (const table of TABLES) {
    const rules = await rulesOf(table);
    const isBusy = rules.some((rule) => {
      const [action = "", chain = "", ...rest] = rule.split(" ");
      const leads = rest[0] === "-j" && (rest[1] === "RETURN" || CHAIN.test(rest[1] ?? ""));
      return action === "-A" && CHAIN.test(chain) && !leads;
    });
    if (isBusy) continue;
    for (const rule of rules) {
      const words = rule.split(" ");
      if (words[0] === "-A" && words.some((word) => CHAIN.test(word))) await deleteRule(table, rule);
    }
    for (const rule of rules) {
      const [action, chain = ""] = rule.split(" ");
      if (action === "-N" && CHAIN.test(chain))
        await runCommand("iptables", ["-w", "10", "-t", table, "-X", chain]);
    }
  }
}

/** @param {string} table @param {string} rule */
async function deleteRule(table, rule) {
  await runCommand("iptables", ["-w", "10", "-t", table, ...rule.replace(/^-A/, "-D").split(" ")]);
}
