import { z } from "zod";
import { normalizeHost } from "@dinp/core";
import { parseAddress } from "./addresses.js";

const PATH_LENGTH_MAX = 2_048;
const ENDPOINTS_MAX = 10_000;

/** A route's host as requests are compared with it. */
const host = z.string().check(({ value, issues }) => {
  const problem = hostProblem(value);
  if (problem !== null) issues.push({ code: "custom", input: value, message: problem });
});

const path = z.string().check(({ value, issues }) => {
  if (value === "/") return;
  if (value.length > PATH_LENGTH_MAX || !/^\/[^\s?#\p{Cc}]*[^\s?#/\p{Cc}]$/u.test(value)) {
    const message = 'must be "/" or a prefix such as "/api": without a slash at its end, spaces, "?" or "#"';
    issues.push({ code: "custom", input: value, message });
  }
});

const address = z.string().check(({ value, issues }) => {
  const parsed = parseAddress(value);
  if (typeof parsed === "string") issues.push({ code: "custom", input: value, message: parsed });
});

const name = z
  .string()
  .min(1, "must not be empty")
  .max(255, "must have at most 255 characters")
  .regex(/^[^\p{Cc}]*$/u, "must not have control characters");

const endpoint = z.union([address, z.strictObject({ id: name, address })]);

export const routeSchema = z.strictObject({
  host,
  path: path.default("/"),
  app: name,
  appId: name.optional(),
  endpoints: z.array(endpoint).max(ENDPOINTS_MAX, `must have at most ${String(ENDPOINTS_MAX)} endpoints`),
  unavailable: z.literal("stopped", { error: 'must be "stopped", or be left out' }).optional(),
});

export type FileRoute = z.infer<typeof routeSchema>;

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

/** The whole file, but for the routes in it. */
export const tableSchema = z.strictObject({ epoch: count.optional(), routes: z.array(z.unknown()) });

/** The keys that each object of the file may have, by where it is. */
export const knownKeys = {
  table: ["epoch", "routes"],
  route: Object.keys(routeSchema.shape),
  endpoint: ["id", "address"],
} as const;

function hostProblem(value: string): string | null {
  if (/:[0-9]+$/.test(value) && !value.endsWith("]")) return "must have no port: routes are for all ports";
  if (value !== value.toLowerCase()) return `must be in lower case: ${value.toLowerCase()}`;
  if (value.endsWith(".")) return "must have no dot at its end";
  // Anything else would be a route that no request finds.
  if (value.length > 253 || normalizeHost(value) !== value) {
    return "must be a host name or an IP address (names in other scripts in their xn-- form)";
  }
  return null;
}
