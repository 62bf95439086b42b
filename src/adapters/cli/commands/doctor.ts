import { isDinpError, messageOf } from "@dinp/core";
import type { Client } from "@dinp/core/client";
import type { Command } from "commander";
import { fail, good, warn, type Check } from "../checks.js";
import type { ConnectionFlags, Context } from "../context.js";
import { exitCodes } from "../exit-codes.js";
import { checkMachine } from "../machine-checks.js";
import type { HostPort, PortRange } from "../parse.js";
import { dialRouter } from "../router-dial.js";
import { formatDuration, printable, toJson } from "../text.js";
import type { Color } from "../terminal.js";
import { instancePorts } from "./instance-ports.js";
import { flagsOf, withRead, type ReadFlags, type Registration } from "./shared-options.js";

interface DoctorFlags extends ReadFlags {
  readonly data?: string;
  readonly instancePorts: PortRange;
}

const API_MS = 5_000;
const CLOCK_WARN_MS = 5_000;
const CLOCK_FAIL_MS = 300_000;
const colors: Readonly<Record<Check["result"], Color>> = { ok: "green", warn: "yellow", fail: "red" };

/** `dinp doctor`; `onExit` gets 1 when a check failed. */
export function registerDoctor({ program, context }: Registration, onExit: (exitCode: number) => void): void {
  const command = program.command("doctor").option("--data <dir>", "the data folder to look at");
  withRead(command.addOption(instancePorts()))
    .summary("check this machine and the connection to the API")
    .description(
      "Checks what the platform needs of this machine, and whether API and router answer. Changes nothing.\n" +
        "Exits with 1 when something must be mended.",
    )
    .action(async (own: DoctorFlags, command: Command) => {
      const flags = flagsOf(own, command);
      const connection = await checkConnection(context, flags);
      const isUp = connection.checks.some(({ name, result }) => name === "API" && result === "ok");
      const machine = await checkMachine(
        context.options.env,
        flags.data ?? null,
        { listening: portsOf(context, connection.routerUrl), ofInstances: flags.instancePorts },
        isUp,
      );
      const checks = [...machine, ...connection.checks];
      if (flags.json === true) context.out.line(toJson({ checks }, 2));
      else for (const check of checks) show(context, check);
      if (checks.some(({ result }) => result === "fail")) onExit(exitCodes.failed);
    });
}

function show(context: Context, { name, result, text, hint }: Check): void {
  const { paint } = context.out;
  context.out.line(`${paint(colors[result], result.padEnd(4))}  ${name.padEnd(12)}  ${printable(text)}`);
  if (hint !== null) context.out.line(`${" ".repeat(20)}${printable(hint)}`);
}

/** Where a platform on this machine listens: as the API says or its URL, else where it would by itself. */
function portsOf(
  context: Context,
  routerUrl: string | null,
): readonly { readonly name: string; readonly at: HostPort }[] {
  return [
    { name: "api", at: localAddress(context.api?.url ?? null) ?? { host: "127.0.0.1", port: 7070 } },
    { name: "router", at: localAddress(routerUrl) ?? { host: "127.0.0.1", port: 8080 } },
  ];
}

/** Null for what is on another machine. */
function localAddress(text: string | null): HostPort | null {
  if (text === null) return null;
  const { hostname, port, protocol } = new URL(text);
  const host = hostname.replace(/^\[|\]$/g, "");
  if (!/^(?:localhost|127\..*|::1|::|0\.0\.0\.0)$/.test(host)) return null;
  return {
    host: host === "0.0.0.0" || host === "localhost" ? "127.0.0.1" : host,
    port: Number(port || (protocol === "https:" ? 443 : 80)),
  };
}

interface Connection {
  readonly checks: readonly Check[];
  /** Null when no API answers. */
  readonly routerUrl: string | null;
}

async function checkConnection(context: Context, flags: ConnectionFlags): Promise<Connection> {
  const client = await context.connect(flags);
  const url = context.api?.url ?? "";
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(API_MS)]);
  let info: Awaited<ReturnType<Client["info"]>>;
  try {
    info = await client.info({ signal });
  } catch (error) {
    const why = signal.aborted ? `no answer within ${String(API_MS / 1000)} s` : messageOf(error);
    const distrusted = isDinpError(error) && error.details["distrusted"] === true ? error.hint : undefined;
    const hint = distrusted ?? "Start it with dinp up, or name another with --api URL.";
    return { checks: [fail("API", why.includes(url) ? why : `${url}: ${why}`, hint)], routerUrl: null };
  }
  const checks = [
    good("API", `${url}, version ${info.version}`),
    await checkClock(context, url),
    await checkToken(client, url, signal),
    await checkRouter(context, info.routerUrl, info.appsDomain),
  ];
  return { checks, routerUrl: info.routerUrl };
}

/** By the API's own `Date` (RFC 9110 section 6.6.1), which counts in seconds. */
async function checkClock(context: Context, url: string): Promise<Check> {
  const send = context.options.fetch ?? globalThis.fetch;
  try {
    const answer = await send(`${url}/healthz`, { signal: AbortSignal.timeout(API_MS) });
    await answer.body?.cancel();
    const theirs = Date.parse(answer.headers.get("date") ?? "");
    if (Number.isNaN(theirs))
      return warn("clock", "the API does not tell its time", "Compare the clocks by hand.");
    const apart = Math.max(0, Math.abs(context.now() - theirs) - 1_000);
    const text = `${formatDuration(apart)} apart from the API's`;
    const hint = "Set the clocks of both machines by NTP.";
    if (apart >= CLOCK_FAIL_MS) return fail("clock", text, hint);
    return apart >= CLOCK_WARN_MS ? warn("clock", text, hint) : good("clock", "as the API's");
  } catch (error) {
    return warn("clock", `the API's time could not be asked: ${messageOf(error)}`, "Try again.");
  }
}

async function checkToken(client: Client, url: string, signal: AbortSignal): Promise<Check> {
  try {
    const { subject, role } = await client.session({ signal });
    return good("token", `of ${printable(subject)} (${role})`);
  } catch (error) {
    const hint = `Run dinp login --api ${url}.`;
    const isRefused = isDinpError(error, "DINP_UNAUTHENTICATED");
    return fail("token", isRefused ? "there is none that the API knows" : messageOf(error), hint);
  }
}

async function checkRouter(context: Context, routerUrl: string, appsDomain: string): Promise<Check> {
  const url = `http://doctor-check.${appsDomain}/`;
  const answer = await dialRouter({ routerUrl, url, timeoutMs: API_MS, signal: context.signal });
  if (answer.kind !== "unreachable") return good("router", `${routerUrl} answers`);
  const hint = "Look at the platform's own output; a firewall may be in between.";
  return fail("router", `${routerUrl} does not answer: ${answer.reason}`, hint);
}
