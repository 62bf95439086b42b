import { createRouteFollower, isDinpError, messageOf, newId, type Logger, type Route } from "@dinp/core";
import { createFileRouteTable, readRouteFile, type FileRouteTable } from "@dinp/core/file";
import { createMemoryRouteTable } from "@dinp/core/memory";
import { createPinoLogger, createSystemClock, createSystemRandom } from "@dinp/core/system";
import { parseRouterArguments, usage, UsageError, type RouterCommand } from "./arguments.js";
import { createRequestRouter, urlOf } from "./request-router.js";

/** The program `dinp-router`; gives the exit code. */
export async function runRouter(args: readonly string[], version: string): Promise<number> {
  try {
    const command = parseRouterArguments(args);
    switch (command.name) {
      case "help":
        process.stdout.write(usage);
        return 0;
      case "version":
        process.stdout.write(`${version}\n`);
        return 0;
      case "check":
        process.stdout.write(`${command.routes}: ${count(await readRouteFile(command.routes))}\n`);
        return 0;
      case "serve":
        return await serve(command);
    }
  } catch (error) {
    complain(error);
    return error instanceof UsageError ? 2 : 1;
  }
}

/** Serves until a signal comes. */
async function serve(command: Extract<RouterCommand, { readonly name: "serve" }>): Promise<number> {
  const { routes: path, listen, drainMs, logLevel } = command;
  const [clock, random] = [createSystemClock(), createSystemRandom()];
  const logger = createPinoLogger({ level: logLevel, pretty: process.stderr.isTTY });
  const table = createFileRouteTable({ path, versions: createMemoryRouteTable({ random }), logger });
  // Its own at every start: behind another router of this kind its requests must not look like a loop.
  const routerId = newId(random, "router");
  const signals = new Signals(() => {
    void reread(table, logger);
  });
  const following = new AbortController();
  try {
    await table.open();
    const follower = createRouteFollower({ table, routerId, clock, logger });
    const router = await createRequestRouter({ follower, routerId, listen, clock, logger });
    const ended = follower.run(following.signal);
    ended.catch(() => undefined);
    try {
      await follower.whenReady(following.signal);
      const url = urlOf(await router.start());
      const { routes } = await table.snapshot();
      process.stdout.write(`dinp-router listens on ${url} with ${count(routes)} of ${path}\n`);
      await Promise.race([signals.stop, ended]);
    } finally {
      await router.close({ drainMs });
      following.abort();
    }
    await ended;
    return 0;
  } finally {
    await table.close();
    signals.dispose();
  }
}

async function reread(table: FileRouteTable, logger: Logger): Promise<void> {
  try {
    await table.reread();
    const problem = table.problem();
    if (problem === null) logger.info("the route file was read again, as SIGHUP asks");
    else
      logger.warn("the route file was read again and cannot be used; the last good table is served", {
        problem,
      });
  } catch (error) {
    logger.warn("the route file was not read again", { reason: messageOf(error) });
  }
}

/** The signals of this process, from now until `dispose`. */
class Signals {
  /** Resolves at the first SIGTERM or SIGINT; further ones change nothing. */
  readonly stop: Promise<void>;
  readonly #listeners: readonly (readonly [NodeJS.Signals, () => void])[];

  constructor(onHangUp: () => void) {
    let resolve: () => void = () => undefined;
    this.stop = new Promise((done) => {
      resolve = done;
    });
    this.#listeners = [
      ["SIGTERM", resolve],
      ["SIGINT", resolve],
      ["SIGHUP", onHangUp],
    ];
    for (const [signal, listener] of this.#listeners) process.on(signal, listener);
  }

  dispose(): void {
    for (const [signal, listener] of this.#listeners) process.off(signal, listener);
  }
}

function count(routes: readonly Route[]): string {
  const endpoints = routes.reduce((sum, route) => sum + route.endpoints.length, 0);
  return `${amount(routes.length, "route")} to ${amount(endpoints, "endpoint")}`;
}

function amount(number: number, noun: string): string {
  return `${String(number)} ${noun}${number === 1 ? "" : "s"}`;
}

function complain(error: unknown): void {
  const lines = [`error: ${messageOf(error)}`];
  if (isDinpError(error) && error.hint !== undefined) lines.push(`hint: ${error.hint}`);
  if (error instanceof UsageError) lines.push('hint: "dinp-router --help" says more.');
  process.stderr.write(`${lines.map(printable).join("\n")}\n`);
}

/** Names of files and values of other people's files are in it. */
function printable(line: string): string {
  return line.replace(/\p{Cc}/gu, (character) => JSON.stringify(character).slice(1, -1));
}
