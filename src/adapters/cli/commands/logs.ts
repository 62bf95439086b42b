import type { LogLineView } from "@dinp/core/client";
import type { Command } from "commander";
import type { Context } from "../context.js";
import { findInstance } from "../find-instance.js";
import { showEach } from "../show-stream.js";
import type { Color } from "../terminal.js";
import { printable, shortId, toJson } from "../text.js";
import { appArgument, flagsOf, withFollow, type FollowFlags, type Registration } from "./shared-options.js";

interface LogFlags extends FollowFlags {
  readonly instance?: string;
}

/** `dinp logs`. */
export function registerLogs({ program, context }: Registration): void {
  withFollow(program.command("logs"), "lines", "how many of the last lines of each instance", 100)
    .option("--instance <id>", "of this instance only (the beginning of its id is enough)")
    .summary("show what an app writes")
    .description("Shows what an app's instances write to their output, each line after its instance's id.")
    .argument(...appArgument())
    .action(async (app: string, flags: LogFlags, command: Command) => {
      await logs(context, app, flagsOf(flags, command));
    });
}

async function logs(context: Context, app: string, flags: LogFlags): Promise<void> {
  const client = await context.connect(flags);
  const { signal } = context;
  const detail = await client.getApp(app, { signal });
  const instance = flags.instance === undefined ? undefined : findInstance(detail, flags.instance);
  let tail = flags.number;
  let lines = 0;
  const open = (): AsyncIterable<LogLineView> => {
    const request = { tail, follow: flags.follow, ...(instance === undefined ? {} : { instance }) };
    return client.logs(app, request, { signal });
  };
  const show = (line: LogLineView): void => {
    lines += 1;
    tail = 0;
    if (flags.json === true) context.out.line(toJson(line));
    else context.out.line(`${prefixOf(context, line)} ${printable(line.text)}`);
  };
  await showEach(context, flags.follow === true, open, show, " (lines may be missing)");
  context.throwIfInterrupted();
  if (lines === 0 && flags.number > 0 && flags.json !== true)
    context.err.line(`${app} has written nothing (${detail.state}).`);
}

const instanceColors: readonly Color[] = ["cyan", "yellow", "green", "magenta", "blue"];

function prefixOf(context: Context, line: LogLineView): string {
  const id = printable(shortId(line.instanceId));
  let sum = 0;
  for (const character of id) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 9_973;
  return context.out.paint(instanceColors[sum % instanceColors.length] ?? "cyan", id);
}
