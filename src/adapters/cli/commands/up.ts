import { isDinpError, parseUploadPlace, type AllowedUploadPlace } from "@dinp/core";
import { Option, type Command } from "commander";
import {
  layerCompressions,
  logLevels,
  runtimeKinds,
  type LayerCompression,
  type LogLevel,
  type RuntimeKind,
  type UpOptions,
  type UpRegistryOptions,
} from "../context.js";
import { parseHostPort, parseRegistryUrl, quote, type HostPort, type PortRange } from "../parse.js";
import { usageError } from "../exit-codes.js";
import { builderOf, withBuilderFlags, type BuilderFlags } from "./builder-flags.js";
import { instancePorts } from "./instance-ports.js";
import type { Registration } from "./shared-options.js";

const DOCKER_SOCKET = "/var/run/docker.sock";

interface RegistryFlags {
  readonly registry?: string;
  readonly registryCa?: string;
  readonly registryCredentials?: string;
  readonly registryPlainHttp?: boolean;
  readonly registryMoved?: boolean;
}

interface UpFlags extends RegistryFlags, BuilderFlags {
  readonly api: HostPort;
  readonly router: HostPort;
  readonly instancePorts: PortRange;
  readonly data?: string;
  readonly domain: string;
  readonly demo?: string;
  readonly newToken?: boolean;
  readonly runtime?: RuntimeKind;
  readonly dockerHost?: string;
  readonly layerCompression: LayerCompression;
  readonly templates?: string;
  readonly allowUploadFrom?: readonly AllowedUploadPlace[];
  readonly logLevel: LogLevel;
}

/** `dinp up`; `onExit` gets the exit code. */
export function registerUp(
  { program, context }: Registration,
  up: (options: UpOptions) => Promise<number>,
  onExit: (exitCode: number) => void,
): Command {
  const command = program
    .command("up")
    .summary("run the whole platform in this process")
    .description(
      "Runs the whole platform in this process: store, API, router and instances. Ctrl-C stops it.\n" +
        "Apps, releases and images are kept in the data folder; start it again and they run again.",
    )
    .addOption(address("--api <host:port>", "where the API listens", "127.0.0.1:7070"))
    .addOption(address("--router <host:port>", "where the router listens", "127.0.0.1:8080"))
    .addOption(instancePorts())
    .option("--data <dir>", "folder of the store, the images and the instances")
    .option("--domain <domain>", "apps answer at NAME.DOMAIN", parseAppsDomain, "apps.localhost")
    .option("--demo <dir>", "push this app when the platform is up")
    .option("--templates <file>", "a YAML file of further templates (see docs/templates.md)")
    .option(
      "--registry <url>",
      "keep images in this registry (the first start decides), not in the data folder",
    )
    .option("--registry-ca <file>", "certificates (PEM) of the registry's authority")
    .option("--registry-credentials <file>", "a file with USER:PASSWORD for the registry")
    .option("--registry-plain-http", "speak http with a registry on another machine")
    .option("--registry-moved", "the registry has a new URL, and all its images")
    .option(
      "--allow-upload-from <place>",
      "let uploads by URL come from this host (HOST[:PORT], an address or a range); may be repeated",
      collectPlaces,
    )
    .addOption(
      new Option(
        "--runtime <kind>",
        "instances are processes of this machine, or containers (the first start decides; it is process)",
      ).choices(runtimeKinds),
    )
    .option(
      "--docker-host <unix://path>",
      `socket of the Docker engine (default: $DOCKER_HOST, else unix://${DOCKER_SOCKET})`,
    );
  return withBuilderFlags(command)
    .option("--new-token", "make a new admin token; the old one stops working")
    .addOption(
      new Option("--layer-compression <how>", "how new images are stored: quickly, or small")
        .choices(layerCompressions)
        .default("none"),
    )
    .addOption(
      new Option("--log-level <level>", "how much the platform says").choices(logLevels).default("info"),
    )
    .action(async (flags: UpFlags) => {
      onExit(
        await up({
          api: flags.api,
          router: flags.router,
          instancePorts: flags.instancePorts,
          dataDirectory: flags.data ?? null,
          appsDomain: flags.domain,
          demoDirectory: flags.demo ?? null,
          newToken: flags.newToken ?? false,
          runtime: flags.runtime ?? null,
          dockerSocket: dockerSocketOf(flags, context.options.env["DOCKER_HOST"]),
          layerCompression: flags.layerCompression,
          templatesFile: flags.templates ?? null,
          registry: registryOf(flags),
          allowUploadFrom: flags.allowUploadFrom ?? [],
          builder: builderOf(flags),
          logLevel: flags.logLevel,
        }),
      );
    });
}

/** The engine must be on this machine: instances are reached at its own address. */
function dockerSocketOf({ dockerHost, runtime, builder }: UpFlags, variable: string | undefined): string {
  const host = dockerHost ?? (variable === "" ? undefined : variable) ?? DOCKER_SOCKET;
  const path = /^(?:unix:\/\/)?(\/[^\0]*)$/.exec(host)?.[1];
  if (path !== undefined) return path;
  // Of no concern to who does not ask for containers.
  if (dockerHost === undefined && runtime !== "docker" && builder === undefined) return DOCKER_SOCKET;
  const name = dockerHost === undefined ? "DOCKER_HOST" : "--docker-host";
  throw usageError(
    `${name} must be a socket of this machine (${quote(host)})`,
    `Write it like unix://${DOCKER_SOCKET}`,
  );
}

function collectPlaces(
  text: string,
  before: readonly AllowedUploadPlace[] | undefined,
): readonly AllowedUploadPlace[] {
  try {
    return [...(before ?? []), parseUploadPlace(text)];
  } catch (error) {
    if (!isDinpError(error)) throw error;
    throw usageError(`--allow-upload-from: ${error.message}`, error.hint ?? "");
  }
}

function address(flags: string, description: string, standard: string): Option {
  const name = flags.replace(/ .*/, "");
  return new Option(flags, description)
    .argParser((text) => parseHostPort(text, name))
    .default(parseHostPort(standard, name), standard);
}

function registryOf(flags: RegistryFlags): UpRegistryOptions {
  const url =
    flags.registry === undefined ? null : parseRegistryUrl(flags.registry, flags.registryPlainHttp ?? false);
  if (url === null && flags.registryMoved === true) {
    throw usageError("--registry-moved needs --registry", "Give the registry's new URL with --registry URL");
  }
  return {
    url,
    caFile: flags.registryCa ?? null,
    credentialsFile: flags.registryCredentials ?? null,
    hasMoved: flags.registryMoved ?? false,
  };
}

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

function parseAppsDomain(text: string): string {
  const domain = text.toLowerCase();
  if (domain.length <= 189 && domain.split(".").every((label) => LABEL.test(label))) return domain;
  throw usageError(`--domain must be a domain name (${quote(text)})`, "Write it like apps.example.com");
}
