import type { InstanceViewPhase } from "@dinp/core/client";
import { Option, type Command } from "commander";
import { parseAppName } from "../app-name.js";
import { stateAndReason } from "../instance-cells.js";
import { printTable, type Cell } from "../table.js";
import { formatAgo, toJson } from "../text.js";
import { flagsOf, withRead, type ReadFlags, type Registration } from "./shared-options.js";

interface InstancesFlags extends ReadFlags {
  readonly phase?: InstanceViewPhase;
  readonly node?: string;
}

const phases: readonly InstanceViewPhase[] = ["pending", "starting", "running", "stopping", "exited"];

const columns = [
  { header: "INSTANCE" },
  { header: "APP" },
  { header: "RELEASE", align: "right" },
  { header: "STATE" },
  { header: "NODE" },
  { header: "ENDPOINT" },
  { header: "STARTED" },
  { header: "REASON" },
] as const;

/** `dinp instances`. */
export function registerInstances({ program, context }: Registration): void {
  withRead(
    program
      .command("instances")
      .addOption(new Option("--phase <phase>", "only those in this phase").choices(phases))
      .option("--node <node>", "only those on this node"),
  )
    .summary("list instances, of one app or of all")
    .description("Lists the instances of one app, or of all, with their ids.")
    .argument("[app]", "name of the app", parseAppName)
    .action(async (app: string | undefined, own: InstancesFlags, command: Command) => {
      const flags = flagsOf(own, command);
      const client = await context.connect(flags);
      const { phase, node } = flags;
      const items = await client.listInstances({ app, phase, node }, { signal: context.signal });
      if (flags.json === true) {
        context.out.line(toJson({ items }, 2));
        return;
      }
      if (items.length === 0) {
        context.err.line("No instance is like that.");
        return;
      }
      const now = context.now();
      const rows = items.map((instance): Cell[] => {
        const [state, reason] = stateAndReason(instance);
        return [
          ...[instance.id, instance.app, String(instance.release), state],
          ...[instance.node, instance.endpoint ?? "-"],
          instance.startedAt === null ? "-" : formatAgo(instance.startedAt, now),
          reason,
        ];
      });
      printTable(context.out, columns, rows);
    });
}
