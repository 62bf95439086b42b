export { type HttpProxyForwarderOptions, loadHttpProxyForwarder } from "./http-proxy-forwarder.js";
export type { NodeExchange } from "./node-exchange.js";
