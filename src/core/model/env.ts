import { limits } from "./defaults.js";
import { DinpError } from "./errors.js";

const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Variables that the platform itself sets for every instance; an app's own may not have these names. */
export function isReservedEnvName(name: string): boolean {
  return name === "PORT" || name.startsWith("DINP_");
}

/**
 * Throws `DINP_INVALID` unless `env` can be an app's environment: names of `A-Z a-z 0-9 _` that do not begin with a
 * digit, none of the platform's own (`PORT`, `DINP_*`), values without NUL, and all of it within
 * `limits.envVariablesMax` and `limits.envBytesMax` (UTF-8 bytes of `NAME=value` and one more each). `secretBytes`: how long
 * the values of those variables are that are secrets, in bytes; they win over `env`.
 * Messages never contain a value: it may be a secret.
 */
export function assertEnv(
  env: Readonly<Record<string, string>>,
  secretBytes: Readonly<Record<string, number>> = {},
): void {
  const names = [...new Set([...Object.keys(env), ...Object.keys(secretBytes)])];
  if (names.length > limits.envVariablesMax) {
    throw new DinpError(
      "DINP_INVALID",
      `There are ${String(names.length)} environment variables; ${String(limits.envVariablesMax)} are allowed.`,
      { details: { field: "env" } },
    );
  }
  const encoder = new TextEncoder();
  let bytes = 0;
  for (const name of names) {
    assertEnvName(name);
    const secret = Object.hasOwn(secretBytes, name) ? secretBytes[name] : undefined;
    if (secret !== undefined) {
      bytes += encoder.encode(name).length + secret + 2;
      continue;
    }
    const value: unknown = env[name];
    if (typeof value !== "string") throw refused(name, "its value is not text", "Write the value as text.");
    if (value.includes("\0")) throw refused(name, "its value contains a NUL character", "Remove the NUL.");
    bytes += encoder.encode(name).length + encoder.encode(value).length + 2;
  }
  if (bytes > limits.envBytesMax) {
    throw new DinpError(
      "DINP_INVALID",
      `The environment takes ${String(bytes)} bytes; ${String(limits.envBytesMax)} are allowed.`,
      { hint: "Put large values into a file of the app.", details: { field: "env" } },
    );
  }
}

function assertEnvName(name: string): void {
  if (!ENV_NAME.test(name) || name === "__proto__") {
    throw refused(
      name,
      "it is not a legal name",
      "Use letters, digits and '_', not beginning with a digit (for example DATABASE_URL).",
    );
  }
  if (!isReservedEnvName(name)) return;
  throw refused(
    name,
    name === "PORT"
      ? "the platform chooses the port and sets it for each instance"
      : "names that begin with DINP_ belong to the platform",
    name === "PORT" ? "Remove it, and let the app listen on $PORT." : "Choose another name.",
  );
}

function refused(name: string, why: string, hint: string): DinpError {
  const shown = JSON.stringify(name.slice(0, 80));
  return new DinpError("DINP_INVALID", `The environment variable ${shown} is refused: ${why}.`, {
    hint,
    details: { field: `env.${name.slice(0, 80)}` },
  });
}
