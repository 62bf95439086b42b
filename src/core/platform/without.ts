import { DinpError } from "../model/errors.js";
import type { RegistryConnector } from "../ports/registry-connector.js";
import type { SecretBox } from "../ports/system.js";

/** For a platform that was composed without a way to other registries. */
export const noRegistries: RegistryConnector = Object.freeze({
  connect: () => {
    throw missing("images of other registries");
  },
});

/** For a platform that was composed without a way to keep secrets. */
export const noSecrets: SecretBox = Object.freeze({
  seal: () => Promise.reject(missing("secrets")),
  open: () => Promise.reject(missing("secrets")),
  keyNames: () => Promise.reject(missing("secrets")),
  keyNameOf: () => null,
});

function missing(what: string): DinpError {
  return new DinpError("DINP_UNAVAILABLE", `This platform was put together without ${what}.`);
}
