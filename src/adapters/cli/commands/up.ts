import { Option, type Command } from "commander";
import { logLevels, type LogLevel, type UpOptions } from "../context.js";
import { parseHostPort, quote, type HostPort } from "../parse.js";
import { usageError } from "../exit-codes.js";
import type { Registration } from "./registry.js";

interface UpFlags {
  readonly api: HostPort;
  readonly router: HostPort;
  readonly data?: string;
  readonly domain: string;
  readonly demo?: string;
  readonly newToken?: boolean;
  readonly logLevel: LogLevel;
}

/** `dinp up`; `onExit` gets the exit code. */
export function registerUp(
  { program }: Registration,
  up: (options: UpOptions) => Promise<number>,
  onExit: (exitCode: number) => void,
): Command {
  return program
    .command("up")
    .summary("run the whole platform in this process")
    .description(
      "Runs the whole platform in this process: store, API, router and instances. Ctrl-C stops it.\n" +
        "Apps, releases and images are kept in the data folder; start it again and they run again.",
    )
    .addOption(address("--api <host:port>", "where the API listens", "127.0.0.1:7070"))
    .addOption(address("--router <host:port>", "where the router listens", "127.0.0.1:8080"))
    .option("--data <dir>", "folder of the store, the images and the instances")
    .option("--domain <domain>", "apps answer at NAME.DOMAIN", parseAppsDomain, "apps.localhost")
    .option("--demo <dir>", "push this app when the platform is up")
    .option("--new-token", "make a new admin token; the old one stops working")
    .addOption(
      new Option("--log-level <level>", "how much the platform says").choices(logLevels).default("info"),
    )
    .action(async (flags: UpFlags) => {
      onExit(
        await up({
          api: flags.api,
          router: flags.router,
          dataDirectory: flags.data ?? null,
          appsDomain: flags.domain,
          demoDirectory: flags.demo ?? null,
          newToken: flags.newToken ?? false,
          logLevel: flags.logLevel,
        }),
      );
    });
}

function address(flags: string, description: string, standard: string): Option {
  const name = flags.replace(/ .*/, "");
  return new Option(flags, description)
    .argParser((text) => parseHostPort(text, name))
    .default(parseHostPort(standard, name), standard);
}

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

function parseAppsDomain(text: string): string {
  const domain = text.toLowerCase();
  if (domain.length <= 189 && domain.split(".").every((label) => LABEL.test(label))) return domain;
  throw usageError(`--domain must be a domain name (${quote(text)})`, "Write it like apps.example.com");
}
