import { DinpError, type Caller } from "@dinp/core";

const REGISTERED_ROUTER = /^\/v1\/routers\/[^/]+$/;

/** `DINP_FORBIDDEN` for what a caller's role does not reach at all, whatever the platform says of it. */
export function assertReach({ role }: Caller, method: string, path: string): void {
  if (role !== "router" || (method === "PUT" && REGISTERED_ROUTER.test(path))) return;
  throw new DinpError("DINP_FORBIDDEN", "A router's token may register routers, and nothing else.", {
    hint: "Log in with a token of your own.",
  });
}
