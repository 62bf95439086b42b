export { type HttpProxyForwarderOptions, loadHttpProxyForwarder } from "./load-http-proxy-forwarder.js";
export type { NodeExchange } from "./node-exchange.js";
