import { isDinpError, parseUploadUrl } from "@dinp/core";
import type { Command } from "commander";
import { Option } from "commander";
import type { UpBuilderOptions } from "../context.js";
import { usageError } from "../exit-codes.js";
import { quote } from "../parse.js";

/** Flags of `dinp up` about what builds may run. */
export interface BuilderFlags {
  readonly builder?: "docker";
  readonly builderNetwork?: string;
  readonly pipIndex?: URL;
}

const NETWORK = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;

export function withBuilderFlags(command: Command): Command {
  return command
    .addOption(
      new Option("--builder <what>", "install pip_requirements.txt of Python apps, in containers").choices([
        "docker",
      ]),
    )
    .option("--builder-network <name>", "network of the engine for that (default: none)", parseNetwork)
    .option("--pip-index <url>", "package index for that (default: only what apps bring along)", parseIndex);
}

/** Null: builds run nothing. */
export function builderOf({ builder, builderNetwork, pipIndex }: BuilderFlags): UpBuilderOptions | null {
  if (builder === undefined) {
    const flag = builderNetwork === undefined ? "--pip-index" : "--builder-network";
    if (builderNetwork !== undefined || pipIndex !== undefined)
      throw usageError(`${flag} needs --builder docker`, "Without it, builds run nothing");
    return null;
  }
  if (pipIndex !== undefined && builderNetwork === undefined) {
    throw usageError(
      "--pip-index needs --builder-network: without one, no index is reached",
      "Name a network of the engine that leads to the index and, best, to nothing else",
    );
  }
  return { network: builderNetwork ?? "none", pipIndexUrl: pipIndex?.href ?? null };
}

function parseNetwork(text: string): string {
  if (NETWORK.test(text) && text !== "host") return text;
  throw usageError(
    `--builder-network must be a network of the engine, and not the machine's own (${quote(text)})`,
    "docker network ls shows them",
  );
}

function parseIndex(text: string): URL {
  try {
    return parseUploadUrl(text);
  } catch (error) {
    if (!isDinpError(error)) throw error;
    throw usageError(
      `--pip-index: ${error.message}`,
      "Write it like https://pypi.example.com/simple/, without a password: uploads' code could read it",
    );
  }
}
