export { createHttpRouter, type HttpRouter } from "./http-router.js";
export type { NodeExchange } from "./node-exchange.js";
export type { AccessRecord, HttpRouterOptions } from "./options.js";
export type { RefusalReason } from "./refusal.js";
