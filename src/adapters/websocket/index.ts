export { createWebSocketLinkClient } from "./link-client.js";
export { createWebSocketLinkServer } from "./link-server.js";
export type {
  WebSocketLinkBounds,
  WebSocketLinkClientOptions,
  WebSocketLinkServer,
  WebSocketLinkServerOptions,
} from "./options.js";
