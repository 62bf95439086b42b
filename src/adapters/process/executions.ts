import { randomBytes } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { DinpError, messageOf, type ExecEvent, type ExecOptions, type RunSpec } from "@dinp/core";
import { notRunning } from "../runtime/errors.js";
import { assertRoom, throwIfOver } from "../runtime/execution-limits.js";
import { assertRunSpec, findUnusable } from "../runtime/spec-checks.js";
import type { MemoryCgroup } from "./cgroup.js";
import { buildEnvironment } from "./environment.js";
import { Execution, type ExecutionFacts } from "./execution.js";
import type { Instance } from "./instance.js";
import { launch } from "./launcher.js";
import { KILL_WAIT_MS, POLL_MS } from "./ending.js";
import { makeOwnFolders, ownFolders } from "./instance-folders.js";
import { membersOf } from "./process-members.js";
import type { ProcessEntry } from "./process-table.js";
import { makeFolder } from "./durable-files.js";
import { readIntent } from "./records.js";
import { signalProcess } from "./signals.js";
import type { StartContext } from "./start.js";

/** One-offs have users beyond those of ports; a number comes again only after all others. */
const FIRST_RUN_USER = 65_536;
const RUN_USERS = 4_096;
/** No instance's id begins so. */
const RUN_PREFIX = ".run-";

/** What one command needs of the machine. */
interface Command {
  readonly spec: RunSpec & { readonly port: number | null };
  readonly appDir: string;
  /** Holds `home` and `tmp`. */
  readonly dir: string;
  readonly uid: number | null;
  readonly facts: Omit<ExecutionFacts, "owner">;
}

/** The commands that run beside instances, and one-offs: see `Runtime.exec` and `Runtime.run`. */
export class Executions {
  readonly #running = new Set<Execution>();
  readonly #users = new Set<number>();
  /** Commands that are being started. */
  #starting = 0;
  #nextUser = 0;
  #idle: () => void = () => undefined;
  readonly #closing: AbortSignal;

  /** @param closing Aborts when the runtime closes: all commands are ended then. */
  constructor(closing: AbortSignal) {
    this.#closing = closing;
  }

  /** Runs a command beside the instance. */
  async *exec(
    context: StartContext,
    instance: Instance,
    appDir: string,
    options: ExecOptions,
  ): AsyncGenerator<ExecEvent, void, undefined> {
    yield* this.#execute(context, options, async () => {
      const { dir, uid, cgroup, instanceId } = instance.facts;
      const intent = await readIntent(dir);
      if (!instance.running || intent === null) throw notRunning(instanceId);
      return {
        spec: { ...intent.spec, env: { ...intent.spec.env, ...options.secrets } },
        appDir,
        dir,
        uid,
        facts: {
          cgroup,
          memoryMb: null,
          cleanUp: () => Promise.resolve(),
          explainSignal: () => (instance.ending ? "Its instance ended." : null),
        },
      };
    });
  }

  /** Runs a one-off. `release` is called when nothing of it is left. */
  async *run(
    context: StartContext,
    spec: RunSpec,
    places: { readonly runsDir: string; readonly appDir: string; readonly release: () => void },
    options: ExecOptions,
  ): AsyncGenerator<ExecEvent, void, undefined> {
    yield* this.#execute(context, options, async () => {
      assertRunSpec(spec);
      const id = `${RUN_PREFIX}${spec.instanceId}-${randomBytes(4).toString("hex")}`;
      const dir = join(places.runsDir, id);
      const number = this.#takeUser();
      const uid = context.uidOf(number);
      let cgroup: MemoryCgroup | null = null;
      const cleanUp = async (): Promise<void> => {
        this.#users.delete(number);
        places.release();
        cgroup?.tryRemove();
        await rm(dir, { recursive: true, force: true });
      };
      try {
        cgroup = context.cgroups?.create(id, spec.memoryMb) ?? null;
        await makeFolder(dir, 0o711);
        await makeOwnFolders(dir, uid);
      } catch (error) {
        await cleanUp();
        throw error;
      }
      const facts = { cgroup, memoryMb: spec.memoryMb, cleanUp, explainSignal: () => null };
      return { spec: { ...spec, port: null }, appDir: places.appDir, dir, uid, facts };
    });
  }

  /** Ends all commands; resolves when none is left. To be called after the closing signal. */
  async close(): Promise<void> {
    while (this.#starting > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
    await Promise.all([...this.#running].map((execution) => execution.ended));
  }

  async *#execute(
    context: StartContext,
    options: ExecOptions,
    prepare: () => Promise<Command>,
  ): AsyncGenerator<ExecEvent, void, undefined> {
    const signal = AbortSignal.any([options.signal, this.#closing]);
    throwIfOver(options.signal, this.#closing);
    const execution = await this.#start(context, options, prepare);
    const stop = (): void => {
      execution.stop();
    };
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    try {
      for await (const event of execution.events()) {
        // What it wrote after it was told to end is nobody's, and its end is not one of its own.
        if (signal.aborted) break;
        yield event;
      }
    } finally {
      signal.removeEventListener("abort", stop);
      stop();
      execution.close();
      await execution.ended;
    }
    throwIfOver(options.signal, this.#closing);
  }

  async #start(
    context: StartContext,
    options: ExecOptions,
    prepare: () => Promise<Command>,
  ): Promise<Execution> {
    assertRoom(this.#running.size + this.#starting);
    this.#starting += 1;
    try {
      const command = await prepare();
      try {
        return await this.#launch(context, command, options);
      } catch (error) {
        await command.facts.cleanUp();
        throw error;
      }
    } finally {
      this.#starting -= 1;
      this.#idle();
    }
  }

  async #launch(context: StartContext, command: Command, options: ExecOptions): Promise<Execution> {
    const { clusterId, clock, logger, table, units } = context.instance;
    const { spec, appDir, dir, uid } = command;
    const unusable = findUnusable({ env: spec.env, command: options.command });
    if (unusable !== null) throw new DinpError("DINP_INVALID", unusable, { details: { field: "command" } });
    const program = await context.programs.resolve(options.command, appDir, uid);
    if (!program.found) throw new DinpError("DINP_PROGRAM_MISSING", program.message);
    const execId = randomBytes(12).toString("hex");
    const env = buildEnvironment({ ...spec, execId }, clusterId, {
      appDir,
      ...ownFolders(dir),
      path: context.programs.pathOf(appDir),
    });
    const launched = await launch({
      argv: program.argv,
      env,
      cwd: appDir,
      uid,
      output: "pipes",
      setpriv: context.setpriv,
    }).catch((error: unknown) => {
      if (error instanceof DinpError) throw error;
      throw new DinpError("DINP_INVALID", `The command could not be started: ${messageOf(error)}.`, {
        cause: error,
        details: { field: "command" },
      });
    });
    const owner = { clusterId, instanceId: spec.instanceId, uid, execId };
    const shared = { clock, logger, table, units };
    const execution = Execution.begin(shared, { ...command.facts, owner }, launched, options.stdin);
    this.#running.add(execution);
    void execution.ended.then(() => this.#running.delete(execution));
    return execution;
  }

  #takeUser(): number {
    for (;;) {
      const number = FIRST_RUN_USER + this.#nextUser;
      this.#nextUser = (this.#nextUser + 1) % RUN_USERS;
      if (this.#users.has(number)) continue;
      this.#users.add(number);
      return number;
    }
  }
}

/** Ends what commands of an earlier run of the platform left behind; to be called before anything is started. */
export async function endStrayExecutions(context: StartContext, runsDir: string): Promise<void> {
  const { clock, clusterId, table } = context.instance;
  const giveUpAt = clock.monotonicMs() + KILL_WAIT_MS;
  for (;;) {
    const strays = strayProcesses(await table.scan(), context, clusterId);
    if (strays.length === 0) break;
    if (clock.monotonicMs() > giveUpAt) {
      throw new DinpError("DINP_UNAVAILABLE", "Processes of commands of an earlier run do not end.", {
        details: { pids: strays.map(({ pid }) => pid).slice(0, 100) },
      });
    }
    for (const stray of strays) signalProcess(stray, "SIGKILL");
    await clock.sleep(POLL_MS);
  }
  context.cgroups?.endAll(RUN_PREFIX);
  for (const name of await readdir(runsDir)) await rm(join(runsDir, name), { recursive: true, force: true });
}

/** By mark, and only of a user that such a command would have: anyone may write anything into an environment. */
function strayProcesses(
  entries: readonly ProcessEntry[],
  context: StartContext,
  clusterId: string,
): readonly ProcessEntry[] {
  const own = process.getuid?.();
  const marked = entries.filter(({ alive, mark }) => {
    if (!alive || mark?.clusterId !== clusterId || mark.execId === null) return false;
    const base = context.uidOf(0);
    if (base === null) return mark.uid === own;
    const isRunUser = mark.uid >= base + FIRST_RUN_USER && mark.uid < base + FIRST_RUN_USER + RUN_USERS;
    return mark.port === 0 ? isRunUser : mark.uid === base + mark.port;
  });
  const nobody = { clusterId, instanceId: "", uid: null };
  return membersOf(entries, nobody, null, new Set(marked.map(({ pid }) => pid)));
}
