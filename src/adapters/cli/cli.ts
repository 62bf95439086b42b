import { Command } from "commander";
import { registerApps } from "./commands/apps.js";
import { registerBases } from "./commands/bases.js";
import { registerBuilds } from "./commands/builds.js";
import { registerCompletion } from "./commands/completion.js";
import { registerDoctor } from "./commands/doctor.js";
import { registerDomains } from "./commands/domains.js";
import { registerEnv } from "./commands/env.js";
import { registerGrants } from "./commands/grants.js";
import { registerEvents } from "./commands/events.js";
import { registerExecuting } from "./commands/executing.js";
import { registerExplain } from "./commands/explain.js";
import { registerInstances } from "./commands/instances.js";
import { registerLogs } from "./commands/logs.js";
import { registerNodes } from "./commands/nodes.js";
import { registerPlan } from "./commands/plan.js";
import { registerPush } from "./commands/push.js";
import { withConnection, type Registration } from "./commands/shared-options.js";
import { registerRegistries } from "./commands/registries.js";
import { registerSecrets } from "./commands/secrets.js";
import { registerReleases } from "./commands/releases.js";
import { registerRouters } from "./commands/routers.js";
import { registerLifecycle } from "./commands/lifecycle.js";
import { registerLogin } from "./commands/login.js";
import { registerTemplates } from "./commands/templates.js";
import { registerUp } from "./commands/up.js";
import { Context, type CliOptions } from "./context.js";
import { defaultApiUrl } from "./credentials.js";
import { exitCodes, exitCodesHelp } from "./exit-codes.js";
import { reportFailure } from "./report-failure.js";
import { printable } from "./text.js";

/** The `dinp` command line. */
export interface Cli {
  /**
   * Runs one command (`argv` without the program's own words) and gives its exit code; never rejects.
   * Every run is by itself: streams and listeners are left as they were found.
   */
  run(argv: readonly string[]): Promise<number>;
}

/** Makes the command line out of what it works with. Does nothing before {@link Cli.run}. */
export function createCli(options: CliOptions): Cli {
  return { run: (argv) => run(options, argv) };
}

async function run(options: CliOptions, argv: readonly string[]): Promise<number> {
  const context = new Context(options);
  let exitCode: number = exitCodes.ok;
  const reader: { isGone: boolean; failure: string | null } = { isGone: false, failure: null };
  const onStreamError = (error: NodeJS.ErrnoException): void => {
    // Nobody reads any more: there is no one to tell.
    if (error.code === "EPIPE") reader.isGone = true;
    else reader.failure = error.message;
    context.interrupt();
  };
  options.stdout.on("error", onStreamError);
  options.stderr.on("error", onStreamError);
  const program = buildProgram(context, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync([...argv], { from: "user" });
  } catch (error) {
    if (!isUnwritable(reader)) exitCode = await reportFailure(context, program, argv, error);
  }
  await flushed(options.stdout);
  if (reader.failure !== null) {
    context.err.line(`error: The output could not be written: ${printable(reader.failure)}`);
    exitCode = exitCodes.failed;
  }
  await flushed(options.stderr);
  options.stdout.off("error", onStreamError);
  options.stderr.off("error", onStreamError);
  context.dispose();
  return reader.isGone ? exitCodes.brokenPipe : exitCode;
}

function isUnwritable(reader: { readonly isGone: boolean; readonly failure: string | null }): boolean {
  return reader.isGone || reader.failure !== null;
}

/** Resolves when what was written has been taken over, or cannot be. */
function flushed(stream: NodeJS.WritableStream): Promise<void> {
  return new Promise((resolve) => {
    if (!stream.writable) {
      // Why is told by an event that may be on its way.
      setImmediate(resolve);
      return;
    }
    stream.write("", () => {
      resolve();
    });
  });
}

function buildProgram(context: Context, onExit: (exitCode: number) => void): Command {
  const program = new Command("dinp");
  program
    .description("Runs web applications: push built code, and it answers at its own address.")
    .usage("<command> [options]")
    .enablePositionalOptions()
    .exitOverride()
    .showSuggestionAfterError(true)
    .configureHelp({ helpWidth: context.out.columns ?? 100, subcommandTerm: termOf })
    .configureOutput({
      writeOut: (text) => {
        context.out.raw(text);
      },
      writeErr: (text) => {
        context.err.raw(text);
      },
      outputError: () => undefined,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .addHelpCommand(
      new Command("help")
        .argument("[command]")
        .description("say more of a command")
        .helpGroup("Looking at it:"),
    );
  if (context.options.version !== undefined) program.version(context.options.version, "-V, --version");
  withConnection(program);
  const registration: Registration = { program, context };
  program.commandsGroup("Start here:");
  if (context.options.up !== undefined) registerUp(registration, context.options.up, onExit);
  registerLogin(registration);
  registerPush(registration);
  program.commandsGroup("Apps:");
  registerApps(registration);
  registerLifecycle(registration);
  registerEnv(registration);
  registerGrants(registration);
  registerDomains(registration);
  registerBuilds(registration);
  registerBases(registration);
  registerRegistries(registration);
  registerSecrets(registration, context.options.addSecretKey);
  registerTemplates(registration);
  registerReleases(registration);
  program.commandsGroup("Looking at it:");
  registerInstances(registration);
  registerLogs(registration);
  registerNodes(registration);
  registerRouters(registration);
  registerEvents(registration);
  registerPlan(registration);
  registerExplain(registration);
  registerExecuting(registration, onExit);
  registerDoctor(registration, onExit);
  registerCompletion(registration);
  program.addHelpText("after", helpFooter);
  return program;
}

const helpFooter = `
The API is --api, else DINP_API, else the one of the last "dinp login", else ${defaultApiUrl};
the token is --token, else DINP_TOKEN, else the one that "dinp login" (or "dinp up") stored.

${exitCodesHelp}

"dinp COMMAND --help" says more of one command. NO_COLOR=1 turns colors off, DINP_DEBUG=1 shows stack traces.`;

/** How a command stands in the list: its name and arguments, or the names of its own commands. */
function termOf(command: Command): string {
  const inner = command.commands.map((each) => each.name()).filter((name) => name !== "list");
  const of = command.registeredArguments.length > 0 ? " <app>" : "";
  const options = inner.length > 0 ? ` [${inner.join("|")}]${of}` : "";
  const words = command.registeredArguments.map((argument) => {
    const name = `${argument.name()}${argument.variadic ? "..." : ""}`;
    return argument.required ? ` <${name}>` : ` [${name}]`;
  });
  return `${command.name()}${inner.length > 0 ? options : words.join("")}`;
}
