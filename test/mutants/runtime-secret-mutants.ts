import type { ExecOptions, InstanceSpec, Runtime } from "@dinp/core";
import type { Mutant } from "./matrix.js";
import { brokenRuntime, type RuntimePort } from "./support/broken-runtime.js";
import type { MemoryMachine } from "./support/memory-runtime/machine.js";

const INSTANCE = "secrets: an instance has them beside its other variables, and no list tells them";
const BESIDE =
  "secrets: a command beside an instance has them, also when the runtime was opened anew meanwhile";
const ONE_OFF = "secrets: a one-off has them";

type Spec = Pick<InstanceSpec, "env" | "secretNames">;

function withoutSecrets<S extends Spec>(spec: S): S {
  const { env, secretNames = [] } = spec;
  return {
    ...spec,
    env: Object.fromEntries(Object.entries(env).filter(([name]) => !secretNames.includes(name))),
  };
}

function without(env: Readonly<Record<string, string>>, name: string): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(env).filter(([each]) => each !== name));
}

/** Commands have the variables that `change` leaves. */
function commandsWith(
  change: (env: Readonly<Record<string, string>>, options: ExecOptions) => Readonly<Record<string, string>>,
): (runtime: Runtime, machine: MemoryMachine) => Partial<Runtime> {
  return (runtime, machine) => ({
    exec: (instanceId, options) => {
      machine.onSpawn = (asked) =>
        asked.group.startsWith("exec") ? { ...asked, env: change(asked.env, options) } : asked;
      return runtime.exec(instanceId, options);
    },
  });
}

/** Mutants of what becomes of secrets. */
export const runtimeSecretMutants: readonly Mutant<RuntimePort>[] = [
  brokenRuntime("an instance is started without its secrets", INSTANCE, (_runtime, machine) => {
    machine.onSpawn = (asked) =>
      /^(?:exec|run)/.test(asked.group) ? asked : { ...asked, env: without(asked.env, "HIDDEN") };
    return {};
  }),
  brokenRuntime("the list tells what instances were started with", INSTANCE, (runtime) => {
    const specs = new Map<string, InstanceSpec>();
    return {
      start: (spec, options) => {
        specs.set(spec.instanceId, spec);
        return runtime.start(spec, options);
      },
      list: async (options) =>
        (await runtime.list(options)).map((each) => ({ ...each, spec: specs.get(each.instanceId) })),
    };
  }),
  brokenRuntime(
    "a command has no secrets",
    BESIDE,
    commandsWith((env) => without(env, "HIDDEN")),
  ),
  brokenRuntime(
    "a command has nothing but its secrets of the app's own variables",
    BESIDE,
    commandsWith((env, { secrets }) => (secrets === undefined ? env : without(env, "NAME"))),
  ),
  brokenRuntime("a one-off has no secrets", ONE_OFF, (runtime) => ({
    run: (spec, options) => runtime.run(withoutSecrets(spec), options),
  })),
];
