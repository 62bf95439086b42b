export {
  createOciLayoutRegistry,
  OciLayoutRegistry,
  type OciLayoutRegistryOptions,
} from "./oci-layout-registry.js";
