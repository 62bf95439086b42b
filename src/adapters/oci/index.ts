export { createOciRegistry, OciRegistry } from "./oci-registry.js";
export type { OciCredentials, OciLimits, OciRegistryOptions } from "./options.js";
