import { setTimeout as delay } from "node:timers/promises";
import { DinpError, type ExecOptions, type RunSpec } from "@dinp/core";
import { runBody, type ContainerDefaults, type ContainerPlan } from "./container-spec.js";
import type { InstanceContainer } from "./containers.js";
import type { Engine } from "./engine.js";
import { isRefusal } from "./engine-refusal.js";
import type { Command, Preparation } from "./executions.js";
import { notRunning } from "../runtime/errors.js";
import { memoryMessage } from "../runtime/exit-text.js";
import { INIT_PATH } from "./init-lines.js";
import { flagAt, member, numberAt, textAt } from "./json.js";
import { labels } from "./names.js";

/** An end of the instance is known to the engine a little later than that of its processes. */
const INSTANCE_END_MS = 3_000;
const END_TRIES = 5;
/** The code of a first process that was ended by SIGKILL, or asked to leave by SIGUSR2. */
const KILLED = 137;
const POLL_MS = 50;

/** Ends commands beside an instance: one, or with `*` all. */
export async function endCommands(engine: Engine, containerId: string, token: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      const exec = await createExec(engine, containerId, ["k", token], false);
      await engine.finish("POST", `/exec/${exec}/start`, { body: { Detach: false, Tty: false } });
      const ended = await engine.ask("GET", `/exec/${exec}/json`);
      if (!flagAt(ended, "Running") && numberAt(ended, "ExitCode") === 0) return;
    } catch (error) {
      // The container is gone, or does not run: nor does anything in it.
      if (isRefusal(error, 404, 409) || (await hasEnded(engine, containerId, 0))) return;
      if (tries >= END_TRIES) throw error;
    }
    if (tries >= END_TRIES)
      throw new DinpError("DINP_UNAVAILABLE", "Processes of the command do not end.", { retryable: true });
  }
}

async function createExec(
  engine: Engine,
  containerId: string,
  words: readonly string[],
  hasInput: boolean,
): Promise<string> {
  const body = {
    AttachStdin: hasInput,
    AttachStdout: true,
    AttachStderr: true,
    Tty: false,
    Cmd: [INIT_PATH, ...words],
  };
  return textAt(await engine.ask("POST", `/containers/${containerId}/exec`, { body }), "Id");
}

/** A command beside an instance. */
export async function beside(
  context: {
    readonly engine: Engine;
    /** Whether the kernel just ended something of the instance for its memory. */
    readonly wasOutOfMemory: (containerId: string) => boolean;
  },
  { id, instanceId, labels: marks }: InstanceContainer,
  options: ExecOptions,
  { token, endWith }: Preparation,
): Promise<Command> {
  const { engine, wasOutOfMemory } = context;
  const memoryMb = Number(marks[labels.memoryMb]);
  const explainSignal = (signal: string): Promise<string | null> =>
    Promise.resolve(signal === "SIGKILL" && wasOutOfMemory(id) ? memoryMessage(memoryMb) : null);
  try {
    const exec = await createExec(engine, id, ["e", token, ...options.command], true);
    endWith(async () => {
      const state = await engine.ask("GET", `/exec/${exec}/json`).catch((error: unknown) => {
        if (isRefusal(error, 404)) return null;
        throw error;
      });
      // An engine that was restarted knows nothing of it, and it may still run.
      if (state === null || flagAt(state, "Running")) await endCommands(engine, id, token);
    });
    const body = { Detach: false, Tty: false };
    const socket = await engine.hijack(`/exec/${exec}/start`, { body });
    return {
      socket,
      token,
      begin: () => Promise.resolve(),
      explainKill: async () => {
        const state = await stateOf(engine, `/exec/${exec}/json`, "Running");
        if (!wasKilled(member(state, "ExitCode"))) return null;
        const message = (await hasEnded(engine, id, INSTANCE_END_MS))
          ? "Its instance ended."
          : await explainSignal("SIGKILL");
        return { code: null, signal: "SIGKILL", asked: false, message };
      },
      explainSignal,
    };
  } catch (error) {
    if (isRefusal(error, 404, 409)) throw notRunning(instanceId);
    throw error;
  }
}

/** Whether it does not run, or not any more within this time. */
async function hasEnded(engine: Engine, id: string, timeoutMs: number): Promise<boolean> {
  const giveUpAt = performance.now() + timeoutMs;
  for (;;) {
    try {
      if (!flagAt(await engine.ask("GET", `/containers/${id}/json`), "State", "Running")) return true;
    } catch (error) {
      if (isRefusal(error, 404)) return true;
      throw error;
    }
    if (performance.now() >= giveUpAt) return false;
    await delay(POLL_MS);
  }
}

/** What the engine says of a command that is over. Throws when it, or the knowledge of it, is lost: nobody knows its end. */
async function stateOf(engine: Engine, path: string, ...running: readonly string[]): Promise<unknown> {
  try {
    const state = await engine.ask("GET", path);
    if (!flagAt(state, ...running)) return state;
  } catch (error) {
    if (!isRefusal(error, 404)) throw error;
  }
  throw engine.lost(new Error("the engine lost the command"));
}

/** Whether a first process did not leave by itself. An engine that knows no code saw no such end. */
function wasKilled(code: unknown): boolean {
  return typeof code !== "number" || code === KILLED;
}

/** A one-off in a container of its own. */
export async function apart(
  engine: Engine,
  defaults: ContainerDefaults,
  plan: ContainerPlan & { readonly spec: RunSpec },
  options: ExecOptions,
  endWith: Preparation["endWith"],
): Promise<Command> {
  const { spec, token } = plan;
  const name = `${defaults.names.container(spec.instanceId)}-run-${token}`;
  const path = `/containers/${encodeURIComponent(name)}`;
  endWith(async () => {
    try {
      await engine.ask("DELETE", path, { query: { force: "true", v: "true" } });
    } catch (error) {
      // What is being removed already is waited for.
      if (isRefusal(error, 409))
        await engine.ask("POST", `${path}/wait`, { query: { condition: "removed" } });
      else if (!isRefusal(error, 404)) throw error;
    }
  });
  const body = runBody(defaults, plan, options.command);
  await engine.ask("POST", "/containers/create", { query: { name }, body });
  const isOverMemory = async (): Promise<boolean> =>
    flagAt(await engine.ask("GET", `${path}/json`), "State", "OOMKilled");
  const explainSignal = async (signal: string): Promise<string | null> =>
    signal === "SIGKILL" && (await isOverMemory()) ? memoryMessage(spec.memoryMb) : null;
  const attach = { stream: "true", stdin: "true", stdout: "true", stderr: "true" };
  const socket = await engine.hijack(`${path}/attach`, { query: attach });
  return {
    socket,
    token,
    begin: async () => {
      await engine.ask("POST", `${path}/start`);
    },
    explainKill: async () => {
      const state = await stateOf(engine, `${path}/json`, "State", "Running");
      if (!wasKilled(member(state, "State", "ExitCode"))) return null;
      const message = await explainSignal("SIGKILL");
      return { code: null, signal: "SIGKILL", asked: false, message };
    },
    explainSignal,
  };
}
