import type { PlatformContext, ReadOptions, WriteOptions } from "./context.js";
import { createRouterToken, listRouterTokens, revokeRouterToken } from "./router-tokens.js";
import {
  forgetRouter,
  listRouters,
  registerRouter,
  type ForgetRouterRequest,
  type RouterRequest,
} from "./routers.js";
import type { NewToken } from "./tokens.js";
import type { RouterTokenView, RouterView } from "./views.js";

/** The part of the platform that knows which routers there are. */
export interface RouterOperations {
  /** The routers that drains and ports wait for, by id. */
  listRouters(options?: ReadOptions): Promise<readonly RouterView[]>;
  /**
   * From the answer on, drains and ports wait for the router: what it serves must be read after that. Idempotent.
   * `DINP_FORBIDDEN` unless the caller is an admin or a router's token, `DINP_BUSY` when there are 1,000.
   */
  registerRouter(id: string, request: RouterRequest, options: WriteOptions): Promise<RouterView>;
  /**
   * Nothing waits for the router any more. `DINP_CONFIRMATION_REQUIRED` when it seems to be at work, `DINP_FORBIDDEN` unless
   * the caller is an admin, `DINP_NOT_FOUND`.
   */
  forgetRouter(
    id: string,
    request: ForgetRouterRequest,
    options: WriteOptions,
  ): Promise<{ readonly deleted: true }>;
  /** A token that may register routers and nothing else; its secret is told this once. `DINP_FORBIDDEN` unless the caller is an admin. */
  createRouterToken(options: WriteOptions): Promise<NewToken>;
  /** By id. */
  listRouterTokens(options?: ReadOptions): Promise<readonly RouterTokenView[]>;
  /** Routers that are registered stay so. `DINP_FORBIDDEN` unless the caller is an admin, `DINP_NOT_FOUND`. */
  revokeRouterToken(id: string, options: WriteOptions): Promise<{ readonly deleted: true }>;
}

export function routerOperations(context: PlatformContext): RouterOperations {
  return {
    listRouters: (read = {}) => listRouters(context, read),
    registerRouter: (id, request, write) => registerRouter(context, id, request, write),
    forgetRouter: (id, request, write) => forgetRouter(context, id, request, write),
    createRouterToken: (write) => createRouterToken(context, write),
    listRouterTokens: (read = {}) => listRouterTokens(context, read),
    revokeRouterToken: (id, write) => revokeRouterToken(context, id, write),
  };
}
