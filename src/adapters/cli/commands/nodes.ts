import type { NodeView } from "@dinp/core";
import type { Command } from "commander";
import type { Context } from "../context.js";
import { printTable, type Cell } from "../table.js";
import { formatCpu, formatMemory, toJson } from "../text.js";
import { registerNodeAccess } from "./node-access.js";
import { flagsOf, withRead, type ReadFlags, type Registration } from "./shared-options.js";

/** `dinp nodes`, and who may be one. */
export function registerNodes({ program, context }: Registration): void {
  const group = withRead(program.command("nodes"))
    .summary("list the machines that run instances, or change which may connect")
    .description("Lists the nodes: what each runs, and how much of it is reserved.")
    .usage("[options] | join-token | join-tokens | revoke-token <id> | revoke <node>")
    .enablePositionalOptions()
    .action(async (flags: ReadFlags, command: Command) => {
      await nodes(context, flagsOf(flags, command));
    });
  registerNodeAccess(group, context);
}

async function nodes(context: Context, flags: ReadFlags): Promise<void> {
  const client = await context.connect(flags);
  const items = await client.listNodes({ signal: context.signal });
  if (flags.json === true) {
    context.out.line(toJson({ items }, 2));
    return;
  }
  if (items.length === 0) {
    context.err.line("There are no nodes: nothing can run. A node appears when its agent connects.");
    return;
  }
  const rows = items.map((node): Cell[] => [
    node.id,
    node.address,
    node.runtime,
    stateOf(node),
    String(node.instances),
    `${formatMemory(node.reservedMemoryMb)} of ${formatMemory(node.memoryMb)}`,
    `${String(node.reservedCpuMillis / 1000)} of ${formatCpu(node.cpuMillis)}`,
    node.programs === null ? "(in images)" : node.programs.join(" "),
  ]);
  const columns = [
    { header: "NODE" },
    { header: "ADDRESS" },
    { header: "RUNTIME" },
    { header: "STATE" },
    { header: "INSTANCES", align: "right" },
    { header: "MEMORY RESERVED", align: "right" },
    { header: "CPU RESERVED", align: "right" },
    { header: "PROGRAMS" },
  ] as const;
  printTable(context.out, columns, rows);
}

function stateOf({ cordoned, connected, revokedAt }: NodeView): Cell {
  if (revokedAt !== null) return { text: "revoked", color: "red" };
  if (connected === false) return { text: "away", color: "yellow" };
  return cordoned ? { text: "cordoned", color: "yellow" } : "open";
}
