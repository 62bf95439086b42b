import type { z } from "zod";
import { compareRoutes, DinpError, nearest, routeKey, type Endpoint, type Route } from "@dinp/core";
import { formatAddress, parseAddress } from "./addresses.js";
import { knownKeys, routeSchema, tableSchema, type FileRoute } from "./schema.js";

/** What a route file says. */
export interface FileTable {
  /** The highest epoch that wrote the file; 0 when none did. */
  readonly epoch: number;
  /** Ordered by host and path, deeply frozen. */
  readonly routes: readonly Route[];
}

const PROBLEMS_SHOWN = 5;
const ROUTES_MAX = 200_000;

/**
 * Reads the text of a route file. `DINP_INVALID` names every wrong key with its value (the first five of them), and
 * the line and column where the text is no JSON.
 */
export function parseTable(text: string): FileTable {
  const json = parseJson(text);
  const table = tableSchema.safeParse(json);
  if (!table.success) throw invalid(problemsOf(table.error, json, ""));
  const { epoch = 0, routes: items } = table.data;
  if (items.length > ROUTES_MAX) {
    throw invalid([`routes: must have at most ${String(ROUTES_MAX)} routes, not ${String(items.length)}`]);
  }
  const problems: string[] = [];
  const routes = new Map<string, { readonly route: Route; readonly index: number }>();
  for (const [index, item] of items.entries()) {
    const where = `routes[${String(index)}]`;
    const parsed = routeSchema.safeParse(item);
    if (!parsed.success) {
      problems.push(...problemsOf(parsed.error, item, where));
    } else {
      const route = routeOf(parsed.data);
      const wrong = endpointProblem(parsed.data, route);
      if (wrong !== null) problems.push(`${where}.${wrong}`);
      const first = routes.get(routeKey(route.host, route.path));
      if (first === undefined) routes.set(routeKey(route.host, route.path), { route, index });
      else {
        problems.push(
          `${where}: ${shown(route.host + route.path)} is a route already, see routes[${String(first.index)}]`,
        );
      }
    }
    if (problems.length > PROBLEMS_SHOWN) break;
  }
  if (problems.length > 0) throw invalid(problems);
  return {
    epoch,
    routes: Object.freeze([...routes.values()].map(({ route }) => route).sort(compareRoutes)),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (text.trim() === "") throw invalid(['the file is empty; the smallest table is {"routes": []}']);
    throw invalid([`it is not JSON: ${placed(text, error)}`]);
  }
}

/** The parser's own words, with the line in place of its position. */
function placed(text: string, error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const reason = message.replace(/(?: in JSON)? at position \d+.*$/s, "").slice(0, 120);
  const at = positionOf(text, message);
  if (at === null) return reason;
  const before = text.slice(0, at).split("\n");
  return `${reason} (line ${String(before.length)}, column ${String((before.at(-1)?.length ?? 0) + 1)})`;
}

/** The parser gives a position, or the ten characters on either side of what it did not expect. */
function positionOf(text: string, message: string): number | null {
  const position = /at position (\d+)/.exec(message)?.[1];
  if (position !== undefined) return Number(position);
  if (message.startsWith("Unexpected end")) return text.length;
  const [, cutBefore, snippet = ""] = /, (\.\.\.)?"(.*?)"(?:\.\.\.)? is not valid JSON$/s.exec(message) ?? [];
  const first = text.indexOf(snippet);
  if (snippet === "" || first === -1 || text.includes(snippet, first + 1)) return null;
  return cutBefore === undefined ? null : first + 10;
}

function routeOf(item: FileRoute): Route {
  const { host, path, app, appId = app, unavailable = "no-ready-instance" } = item;
  const endpoints = item.endpoints.map((entry): Endpoint => {
    const address = parseAddress(typeof entry === "string" ? entry : entry.address);
    if (typeof address === "string") throw new TypeError(address);
    const instanceId = typeof entry === "string" ? formatAddress(address) : entry.id;
    return Object.freeze({ instanceId, ...address });
  });
  return Object.freeze({
    host,
    path,
    appId,
    appName: app,
    endpoints: Object.freeze(endpoints),
    unavailable: endpoints.length === 0 ? unavailable : null,
  });
}

function endpointProblem(item: FileRoute, { endpoints }: Route): string | null {
  if (item.unavailable !== undefined && endpoints.length > 0) {
    return `unavailable: "stopped" is for a route without endpoints, and this one has ${String(endpoints.length)}`;
  }
  const seen = new Set<string>();
  for (const { instanceId } of endpoints) {
    if (seen.has(instanceId)) return `endpoints: ${shown(instanceId)} is there twice`;
    seen.add(instanceId);
  }
  return null;
}

function problemsOf(error: z.ZodError, input: unknown, where: string): readonly string[] {
  return error.issues.flatMap((issue) => issueProblems(issue, input, where));
}

function issueProblems(issue: z.core.$ZodIssue, input: unknown, where: string): readonly string[] {
  const at = where + pathText(issue.path, where === "");
  const value = valueAt(input, issue.path);
  if (issue.code === "unrecognized_keys") {
    const known = knownKeysAt(where, issue.path);
    return issue.keys.map((key) => {
      const near = nearest(key, known);
      const hint = near === null ? `known are ${known.join(", ")}` : `did you mean "${near}"?`;
      return `${at === "" ? "" : `${at}: `}there is no key ${shown(key)}; ${hint}`;
    });
  }
  if (issue.code === "invalid_union") {
    if (typeof value !== "string" && !isObject(value)) {
      return [`${at}: must be "HOST:PORT", not ${shown(value)}`];
    }
    const branch = issue.errors[typeof value === "string" ? 0 : 1] ?? [];
    return branch.flatMap((inner) =>
      issueProblems({ ...inner, path: [...issue.path, ...inner.path] }, input, where),
    );
  }
  const what = at === "" ? "the file" : at;
  if (value === undefined) return [`${what}: is missing`];
  if (issue.code === "invalid_type")
    return [`${what}: must be ${nounOf(issue.expected)}, not ${shown(value)}`];
  return [`${what}: ${shown(value)} ${issue.message}`];
}

function knownKeysAt(where: string, path: readonly PropertyKey[]): readonly string[] {
  if (where === "") return knownKeys.table;
  return path.length === 0 ? knownKeys.route : knownKeys.endpoint;
}

function nounOf(expected: string): string {
  switch (expected) {
    case "array":
      return "a list";
    case "object":
      return "an object";
    default:
      return `a ${expected}`;
  }
}

function pathText(path: readonly PropertyKey[], isFirst: boolean): string {
  return path
    .map((part, index) => {
      if (typeof part === "number") return `[${String(part)}]`;
      return `${isFirst && index === 0 ? "" : "."}${String(part)}`;
    })
    .join("");
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value: unknown = input;
  for (const part of path) {
    if (!isObject(value) || !Object.hasOwn(value, part)) return undefined;
    value = Reflect.get(value, part);
  }
  return value;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** The value in JSON, cut to a length that fits a line. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (isObject(value)) return "an object";
  const text = JSON.stringify(typeof value === "string" ? value.slice(0, 100) : value);
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

function invalid(problems: readonly string[]): DinpError {
  const more = problems.length > PROBLEMS_SHOWN ? "; and more" : "";
  return new DinpError("DINP_INVALID", `${problems.slice(0, PROBLEMS_SHOWN).join("; ")}${more}`, {
    hint: 'A route looks like {"host": "shop.example.com", "path": "/", "app": "shop", "endpoints": ["10.0.0.5:8080"]}.',
    details: { problems: problems.slice(0, PROBLEMS_SHOWN) },
  });
}
