export { createHttpApi, type HttpApi, type HttpApiOptions } from "./http-api.js";
export type { HttpApiPeers } from "./peers.js";
