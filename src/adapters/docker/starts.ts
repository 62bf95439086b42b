import { randomBytes } from "node:crypto";
import { type AppGrants, DinpError, type InstanceSpec, type RuntimeInstance } from "@dinp/core";
import { instanceBody, type ContainerDefaults, type ImageFacts } from "./container-spec.js";
import type { Containers, InstanceContainer } from "./containers.js";
import { isPortTaken } from "./exit-info.js";
import type { Engine } from "./engine.js";
import { EngineRefusal, isRefusal } from "./engine-refusal.js";
import { readFrames } from "./frames.js";
import { INIT_PATH, parseInitLine, type InitLine } from "./init-lines.js";
import { LineSplitter } from "../runtime/log-text.js";
import { findUnusable } from "../runtime/spec-checks.js";
import { labels } from "./names.js";
import type { Tools } from "./tools.js";

/** A first process speaks within milliseconds; a machine may be very busy. */
const FIRST_WORD_MS = 60_000;

export interface StartContext {
  readonly engine: Engine;
  readonly containers: Containers;
  readonly defaults: ContainerDefaults;
  readonly tools: Tools;
  readonly now: () => number;
}

/** Starts an instance that was not started before. What cannot be executed gives an exited instance of cause `start`. */
export async function startInstance(
  context: StartContext,
  spec: InstanceSpec,
  image: ImageFacts,
  grants: AppGrants,
): Promise<RuntimeInstance> {
  try {
    return await createAndStart(context, spec, image, grants);
  } catch (error) {
    // Somebody removed the volume with the first process.
    if (!(error instanceof EngineRefusal) || !error.message.includes(INIT_PATH)) throw error;
    await context.tools.prepare({ anew: true });
    return createAndStart(context, spec, image, grants);
  }
}

async function createAndStart(
  context: StartContext,
  spec: InstanceSpec,
  image: ImageFacts,
  grants: AppGrants,
): Promise<RuntimeInstance> {
  const { engine, containers, defaults, now } = context;
  const command = spec.command.length === 0 ? image.command : spec.command;
  const plan = {
    spec: { ...spec, command },
    image,
    grants,
    token: randomBytes(8).toString("hex"),
    startedAt: now(),
    problem: findUnusable({ env: spec.env, command }),
  };
  const query = { name: defaults.names.container(spec.instanceId) };
  const body = instanceBody(defaults, plan, spec.port);
  await engine.ask("POST", "/containers/create", { query, body }).catch((error: unknown) => {
    throw isRefusal(error, 400) ? refusedSpec(spec, error) : error;
  });
  const container = await containers.find(spec.instanceId);
  if (container === null) throw gone(spec.instanceId);
  return startContainer(context, container);
}

/** Starts a container that was created and never started. */
export async function startContainer(
  context: StartContext,
  container: InstanceContainer,
): Promise<RuntimeInstance> {
  const { engine, containers } = context;
  const path = `/containers/${container.id}`;
  const heard = new AbortController();
  const query = { stream: "true", stderr: "true" };
  const output = await engine.stream("POST", `${path}/attach`, { query, signal: heard.signal });
  const timer = setTimeout(() => {
    heard.abort();
  }, FIRST_WORD_MS);
  try {
    const word = firstWord(output, container.labels[labels.token] ?? "");
    try {
      await engine.ask("POST", `${path}/start`);
    } catch (error) {
      // After an answer that was lost, nobody knows what it did, and it stays.
      if (!(error instanceof EngineRefusal)) throw error;
      // The engine keeps why: an instance that ended before it ran.
      const failed = isPortTaken(error.message) ? await containers.view(container) : null;
      if (failed !== null) return failed;
      await removeUnstarted(engine, container);
      throw error;
    }
    if ((await word)?.type !== "started") {
      await engine.ask("POST", `${path}/wait`, {
        query: { condition: "not-running" },
        timeoutMs: FIRST_WORD_MS,
      });
    }
  } finally {
    clearTimeout(timer);
    heard.abort();
  }
  const started = await containers.findOwn(container.instanceId);
  const view = started === null ? null : await containers.view(started);
  if (view === null) throw gone(container.instanceId);
  return view;
}

/** What the first process says first; null when the engine's answer ends before. */
async function firstWord(output: AsyncIterable<unknown>, token: string): Promise<InitLine | null> {
  const splitter = new LineSplitter();
  try {
    for await (const { bytes } of readFrames(output)) {
      for (const text of splitter.push(bytes)) {
        const line = parseInitLine(token, text);
        if (line !== null) return line;
      }
    }
  } catch {
    // The container's state tells as well.
  }
  return null;
}

async function removeUnstarted(engine: Engine, { id }: InstanceContainer): Promise<void> {
  try {
    await engine.ask("DELETE", `/containers/${id}`, { query: { v: "true" } });
  } catch (error) {
    // It was started after all (304 is no refusal), or is gone.
    if (!isRefusal(error, 404, 409)) throw error;
  }
}

function refusedSpec({ instanceId }: InstanceSpec, error: EngineRefusal): DinpError {
  return new DinpError("DINP_INVALID", `The engine refuses instance ${instanceId}: ${error.message}`, {
    cause: error,
  });
}

function gone(instanceId: string): DinpError {
  return new DinpError(
    "DINP_UNAVAILABLE",
    `The container of instance ${instanceId} was removed by somebody else.`,
    {
      retryable: true,
    },
  );
}
