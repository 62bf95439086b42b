import { isDinpError, messageOf } from "@dinp/core";
import { defaultDataFolder, type UpOptions } from "@dinp/core/cli";
import { createPinoLogger } from "@dinp/core/system";
import { calmCompiler } from "./calm-compiler.js";
import { type Embedded, startEmbedded } from "./compose.js";
import { readRegistryAccess } from "./registry-access.js";
import { readTemplates } from "../host/templates.js";
import { ensureLogin, type Login } from "./login.js";

/** What `dinp up` needs from its process. */
export interface UpContext {
  readonly version: string;
  readonly staticServer: string;
  /** Runs a command of the CLI against this platform, as a user would; gives its exit code. */
  readonly runCli: (argv: readonly string[]) => Promise<number>;
}

/** Runs the whole platform until SIGINT or SIGTERM; gives the exit code. */
export async function up(options: UpOptions, context: UpContext): Promise<number> {
  const interrupted = new Interrupt();
  const logger = createPinoLogger({ level: options.logLevel, pretty: process.stderr.isTTY });
  let platform: Embedded | null = null;
  calmCompiler();
  try {
    platform = await startEmbedded({
      dataFolder: options.dataDirectory ?? defaultDataFolder(process.env),
      api: options.api,
      router: options.router,
      instancePorts: options.instancePorts,
      appsDomain: options.appsDomain,
      layerCompression: options.layerCompression,
      runtime: options.runtime,
      dockerSocket: options.dockerSocket,
      registry: options.registry,
      registryAccess: await readRegistryAccess(options.registry, process.env),
      allowUploadFrom: options.allowUploadFrom,
      buildSteps: options.builder,
      templates: await readTemplates(options.templatesFile),
      version: context.version,
      logger,
      staticServer: context.staticServer,
    });
    const { apiUrl } = platform;
    const login = await ensureLogin(platform.platform, platform.store, apiUrl, process.env, options.newToken);
    let exitCode = 0;
    if (options.demoDirectory !== null && !interrupted.happened) {
      exitCode = await pushDemo(platform, options.demoDirectory, context);
    }
    if (!interrupted.happened) announce(platform, login, options);
    const failure = await Promise.race([interrupted.promise, endOf(platform)]);
    if (failure === null) {
      process.stdout.write("\nstopping: router, API, instances, store\n");
      await platform.stop();
      return exitCode;
    }
    process.stderr.write(`${failure}\nThe instances go on running for the next start.\n`);
    await platform.stop({ leaveInstances: true });
    return 1;
  } catch (error) {
    await platform?.stop();
    throw error;
  } finally {
    interrupted.dispose();
  }
}

/** Why the platform ended unasked, as lines to print. */
async function endOf(platform: Embedded): Promise<string> {
  try {
    await platform.ended;
    return "error: the platform ended by itself; see the log above";
  } catch (error) {
    const hint = isDinpError(error) && error.hint !== undefined ? `\nhint: ${error.hint}` : "";
    return `error: ${messageOf(error)}${hint}`;
  }
}

const DEMO_APP = "hello";

/** Pushes the demo over HTTP unless it is there: a second start builds and pushes nothing. */
async function pushDemo(embedded: Embedded, directory: string, context: UpContext): Promise<number> {
  try {
    await embedded.platform.getApp(DEMO_APP);
    return 0;
  } catch (error) {
    if (!isDinpError(error, "DINP_NOT_FOUND")) throw error;
  }
  const exitCode = await context.runCli(["push", directory, "--app", DEMO_APP, "--api", embedded.apiUrl]);
  if (exitCode !== 0)
    process.stderr.write("error: the demo app could not be pushed; see above. The platform itself is up.\n");
  return exitCode;
}

function announce(embedded: Embedded, login: Login, options: UpOptions): void {
  const port = new URL(embedded.routerUrl).port;
  const suffix = port === "" ? "" : `:${port}`;
  const lines = [
    "",
    ...(options.demoDirectory === null ? [] : [`app     http://${DEMO_APP}.${options.appsDomain}${suffix}/`]),
    `router  ${embedded.routerUrl}   (apps answer at http://NAME.${options.appsDomain}${suffix}/)`,
    `API     ${embedded.apiUrl}   (schema: ${embedded.apiUrl}/openapi.json)`,
    ...(embedded.registryUrl === null ? [] : [`images  ${embedded.registryUrl}`]),
    login.secret === null
      ? `login   stored in ${login.file}: "npx dinp" commands of this user work as they are`
      : `login   ${login.secret}\n        (shown this once; stored in ${login.file})`,
    "",
    "Push your own:  npx dinp push DIR        Stop: Ctrl-C",
    "",
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
}

/** The first SIGINT or SIGTERM ends the platform in order; further ones change nothing. */
class Interrupt {
  readonly promise: Promise<null>;
  happened = false;
  readonly #listener: () => void;

  constructor() {
    let resolve: () => void = () => undefined;
    this.promise = new Promise((done) => {
      resolve = () => {
        done(null);
      };
    });
    this.#listener = () => {
      this.happened = true;
      resolve();
    };
    process.on("SIGINT", this.#listener);
    process.on("SIGTERM", this.#listener);
    process.on("SIGHUP", this.#listener);
  }

  dispose(): void {
    process.off("SIGINT", this.#listener);
    process.off("SIGTERM", this.#listener);
    process.off("SIGHUP", this.#listener);
  }
}
