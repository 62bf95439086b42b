import { open, readFile } from "node:fs/promises";
import { DinpError, messageOf } from "@dinp/core";
import type { UpRegistryOptions } from "@dinp/core/cli";
import type { OciCredentials } from "@dinp/core/oci";

/** How a registry is to be spoken to. */
export interface RegistryAccess {
  /** Certificates (PEM); null: only the well-known authorities are trusted. */
  readonly ca: string | null;
  /** Reads them anew each time, so that they can be replaced while the platform runs. */
  readonly credentials: () => Promise<OciCredentials | null>;
}

type Environment = Readonly<Record<string, string | undefined>>;

const FILE_BYTES_MAX = 1024 * 1024;

/** Reads what the command line names; credentials in a file win over those in the environment. `DINP_INVALID`. */
export async function readRegistryAccess(
  { caFile, credentialsFile }: Pick<UpRegistryOptions, "caFile" | "credentialsFile">,
  env: Environment,
): Promise<RegistryAccess> {
  const ca = caFile === null ? null : await readCertificates(caFile);
  const credentials = (): Promise<OciCredentials | null> =>
    credentialsFile === null ? Promise.resolve(credentialsIn(env)) : readCredentials(credentialsFile);
  await credentials();
  return { ca, credentials };
}

async function readCertificates(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw new DinpError("DINP_INVALID", `The registry's certificates cannot be read: ${messageOf(cause)}.`, {
      cause,
      hint: "Name a readable PEM file with --registry-ca FILE.",
    });
  }
}

function credentialsIn(env: Environment): OciCredentials | null {
  const username = env["DINP_REGISTRY_USER"] ?? "";
  const password = env["DINP_REGISTRY_PASSWORD"] ?? "";
  if (username === "" && password === "") return null;
  if (username !== "" && password !== "") return { username, password };
  throw new DinpError(
    "DINP_INVALID",
    `${username === "" ? "DINP_REGISTRY_PASSWORD" : "DINP_REGISTRY_USER"} is set, but not the other one.`,
    { hint: "Set both DINP_REGISTRY_USER and DINP_REGISTRY_PASSWORD, or neither." },
  );
}

/** `USER:PASSWORD`, of which a line's end is no part. What is in the file is in no error. */
async function readCredentials(path: string): Promise<OciCredentials> {
  const [, username, password] = /^([^:\r\n]+):([^\r\n]+)(?:\r?\n)?$/.exec(await readPrivate(path)) ?? [];
  if (username !== undefined && password !== undefined) return { username, password };
  throw new DinpError("DINP_INVALID", `The file of credentials ${path} is not one line of USER:PASSWORD.`, {
    hint: "Write the user, a colon and the password or access token into it, and nothing else.",
  });
}

async function readPrivate(path: string): Promise<string> {
  try {
    const file = await open(path, "r");
    try {
      const { mode, size } = await file.stat();
      if ((mode & 0o007) !== 0) {
        throw new DinpError(
          "DINP_INVALID",
          `Every user of this machine may use the credentials in ${path}.`,
          {
            hint: `Run: chmod 600 ${path}`,
          },
        );
      }
      return size > FILE_BYTES_MAX ? "" : await file.readFile("utf8");
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (cause instanceof DinpError) throw cause;
    throw new DinpError("DINP_INVALID", `The registry's credentials cannot be read: ${messageOf(cause)}.`, {
      cause,
      hint: "Name a readable file with --registry-credentials FILE.",
    });
  }
}
