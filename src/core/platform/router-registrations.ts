import { routerRegistrationsKey } from "../model/router-registrations.js";
import type { RouterRegistration } from "../model/records.js";
import type { Write } from "../ports/state-store.js";

/** Routers at most. */
export const ROUTERS_MAX = 1_000;

/** The writes that register a router of which there is no record. */
export function registrationWrites(router: RouterRegistration): readonly Write[] {
  const setting = { key: routerRegistrationsKey, value: router.id };
  return [
    { op: "put", kind: "router", value: router, ifRevision: "absent" },
    { op: "put", kind: "setting", value: setting },
  ];
}
