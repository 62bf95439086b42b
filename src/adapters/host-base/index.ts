export { createHostBase, type HostBase, type HostBaseOptions } from "./host-base.js";
export { hostBaseNames, type HostBaseName } from "./names.js";
